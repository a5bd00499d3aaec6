"""What each channel of a layout counts, by FFmpeg's names of channels. Pure."""

_LAYOUTS = {  # what so many channels mean where the file does not say
    1: ("FC",),
    2: ("FL", "FR"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}
_LOW_FREQUENCY = {"LFE", "LFE2"}
_BESIDE = {"SL", "SR", "WL", "WR", "SDL", "SDR", "SSL", "SSR"}  # 60 to 120 degrees from the front
_BEHIND = {"BL", "BR"}  # at 110 degrees in 5.1, at 135 or more where others stand beside
_SURROUND_WEIGHT = 1.41
_FRONT = {"FL": 2**-0.5, "FR": 2**-0.5, "FC": 1.0}


def named(channels: tuple[str, ...]) -> tuple[str, ...]:
    """The channels as given, or by their number where they have no names."""
    return _LAYOUTS.get(len(channels), channels) if "NONE" in channels else channels


def loudness_weights(channels: tuple[str, ...]) -> tuple[float, ...]:
    """The factors of ITU-R BS.1770-5, tables 3 and 4: 1.41 for loudspeakers at 60 to 120 degrees, none for the
    low frequency effects, 1 for all others."""
    around = _BESIDE if _BESIDE & set(channels) else _BEHIND
    weights = tuple(0.0 if name in _LOW_FREQUENCY else _SURROUND_WEIGHT if name in around else 1.0 for name in channels)
    return weights if any(weights) else (1.0,) * len(channels)


def mono_weights(channels: tuple[str, ...]) -> tuple[float, ...]:
    """A mix in the proportions of ITU-R BS.775 (centre 1, left and right 0.71, others 0.5) that cannot exceed full
    scale: its factors add up to 1."""
    weights = [0.0 if name in _LOW_FREQUENCY else _FRONT.get(name, 0.5) for name in channels]
    whole = sum(weights)
    return tuple(weight / whole for weight in weights) if whole else (1 / len(channels),) * len(channels)
