// Asks for an API key, where the server wants one.
import { html, useState } from "./vendor/htm-preact.js";
import { acceptKey, isKey, question } from "./key.js";
import { useStore } from "./store.js";
import { Dialog } from "./widgets.js";

export function KeyDialog() {
  const why = useStore(question);
  const [text, setText] = useState("");
  if (why === null) return null;
  const submit = (event) => {
    event.preventDefault();
    if (isKey(text)) acceptKey(text);
    else question.set("This is no API key, or not all of it. A key begins with clz_ and has 60 characters.");
    setText("");
  };
  // There is nothing behind it without a key, so it cannot be closed.
  return html`
    <${Dialog} title="API key" onClose=${() => {}}>
      <p>This server asks for a key. It is kept in this tab only, until you close it.</p>
      ${why && html`<p class="error" role="alert">${why}</p>`}
      <form onSubmit=${submit}>
        <label class="field">
          <span>Key</span>
          <input type="password" autocomplete="off" placeholder="clz_…" value=${text} spellcheck=${false}
            onInput=${(event) => setText(event.target.value)} />
        </label>
        <div class="dialog-buttons"><button class="button button-primary">Continue</button></div>
      </form>
    </${Dialog}>`;
}
