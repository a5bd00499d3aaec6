"""Texts that refer to other files or URLs, in every form that some demuxer follows."""

from pathlib import Path

DISGUISES = {
    "ffconcat of a sibling": "ffconcat version 1.0\nfile neighbour.mp4\n",
    "ffconcat of a path": "ffconcat version 1.0\nfile {neighbour}\n",
    "ffconcat of a URL": "ffconcat version 1.0\nfile {url}\n",
    "ffconcat of a protocol": "ffconcat version 1.0\nfile file:{neighbour}\n",
    "m3u8 of a sibling": "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nneighbour.mp4\n#EXT-X-ENDLIST\n",
    "m3u8 of a path": "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile://{neighbour}\n#EXT-X-ENDLIST\n",
    "m3u8 of a URL": "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{url}\n#EXT-X-ENDLIST\n",
    "m3u8 with a key": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:4,\nneighbour.mp4\n#EXT-X-ENDLIST\n',
    "m3u8 that joins": "#EXTM3U\n#EXTINF:4,\nconcat:{neighbour}|{neighbour}\n#EXT-X-ENDLIST\n",
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "XSPF": '<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList><track>'
    "<location>{url}</location></track></trackList></playlist>",
    "MPD": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
    ' mediaPresentationDuration="PT4S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1"'
    ' bandwidth="1"><BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "SMIL": '<smil><body><video src="{url}"/></body></smil>',
    "redirecting text": "RTSPtext\nrtsp://127.0.0.1:{port}/x\n",
    "reference in a MOV": "",  # built from bytes below
    "noise": "",
    "nothing": "",
}


def write(name: str, path: Path, *, neighbour: Path, port: int) -> None:
    """The disguise ``name`` as a file that points to ``neighbour`` or a port of this machine."""
    url = f"http://127.0.0.1:{port}/neighbour.mp4"
    if name == "noise":
        path.write_bytes(bytes((i * 7919 + i * i) % 256 for i in range(50_000)))
    elif name == "reference in a MOV":
        path.write_bytes(_reference_movie(url.encode()))
    else:
        path.write_text(DISGUISES[name].format(neighbour=neighbour, url=url, port=port))


def _reference_movie(url: bytes) -> bytes:
    """A QuickTime file that holds nothing but the URL of another."""
    reference = _atom(b"rdrf", bytes(4) + b"url " + len(url + b"\0").to_bytes(4, "big") + url + b"\0")
    return _atom(b"ftyp", b"qt  " + bytes(4)) + _atom(b"moov", _atom(b"rmra", _atom(b"rmda", reference)))


def _atom(kind: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + kind + body
