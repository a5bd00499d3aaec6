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
