"""Where shots begin and how: cuts, dissolves and fades.

May import ``analysers.base`` and numpy or OpenCV.
"""
