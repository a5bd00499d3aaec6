"""Weights of the channels of a layout, by FFmpeg's channel names. Pure."""

# By number of channels, if the file does not declare a layout.
_DEFAULT_LAYOUTS = {
    1: ("FC",),
    2: ("FL", "FR"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}
_LOW_FREQUENCY = {"LFE", "LFE2"}
# At 60 to 120 degrees from the front.
_SIDE = {"SL", "SR", "WL", "WR", "SDL", "SDR", "SSL", "SSR"}
# At 110 degrees in 5.1, at 135 or more in layouts with side channels.
_BACK = {"BL", "BR"}
_SURROUND_WEIGHT = 1.41
_LEFT = {"FL", "DL", "FLC", "BL", "SL", "WL", "SDL", "SSL", "TFL", "TBL", "TSL", "BFL", "BIL"}
_RIGHT = {"FR", "DR", "FRC", "BR", "SR", "WR", "SDR", "SSR", "TFR", "TBR", "TSR", "BFR", "BIR"}
_FULL = {"FL", "DL", "BIL", "FR", "DR", "BIR"}
_FRONT_MIX_WEIGHTS = {"FL": 2**-0.5, "FR": 2**-0.5, "FC": 1.0}


def named(channels: tuple[str, ...]) -> tuple[str, ...]:
    """The channels as given, or the default layout of this number of channels if they have no names."""
    return _DEFAULT_LAYOUTS.get(len(channels), channels) if "NONE" in channels else channels


def loudness_weights(channels: tuple[str, ...]) -> tuple[float, ...]:
    """The factors of ITU-R BS.1770-5, tables 3 and 4: 1.41 for loudspeakers at 60 to 120 degrees, 0 for low-frequency
    effects, 1 for all others."""
    surround = _SIDE if _SIDE & set(channels) else _BACK
    weights = tuple(
        0.0 if name in _LOW_FREQUENCY else _SURROUND_WEIGHT if name in surround else 1.0 for name in channels
    )
    return weights if any(weights) else (1.0,) * len(channels)


def mono_weights(channels: tuple[str, ...]) -> tuple[float, ...]:
    """The downmix of ITU-R BS.775 (centre 1, left and right 0.71, others 0.5), scaled to a sum of 1 so that it cannot
    exceed full scale."""
    weights = [0.0 if name in _LOW_FREQUENCY else _FRONT_MIX_WEIGHTS.get(name, 0.5) for name in channels]
    whole = sum(weights)
    return tuple(weight / whole for weight in weights) if whole else (1 / len(channels),) * len(channels)


def stereo_weights(channels: tuple[str, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What each channel adds to left and to right: the downmix of ITU-R BS.775, table 2. One channel alone is both, and
    low-frequency effects are left out.

    The sum of more than two channels may exceed full scale.
    """
    if len(channels) == 1:
        return (1.0,), (1.0,)
    pairs = [_stereo_weight(name) for name in channels]
    if "NONE" in channels or not any(map(any, pairs)):  # they may be anything
        return ((1 / len(channels),) * len(channels),) * 2
    return tuple(left for left, _ in pairs), tuple(right for _, right in pairs)


def _stereo_weight(name: str) -> tuple[float, float]:
    if name in _LOW_FREQUENCY:
        return 0.0, 0.0
    weight = 1.0 if name in _FULL else 2**-0.5
    if name in _LEFT or name in _RIGHT:
        return (weight, 0.0) if name in _LEFT else (0.0, weight)
    return (weight, weight) if name == "FC" else (0.5, 0.5)
