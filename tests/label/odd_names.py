"""What videos may be called."""

ODD_NAMES = (
    *("with space.mp4", 'it\'s "quoted".mp4', "h#sh.mp4", "what?.mp4", "st*r.mp4", "br[x]acket.mp4", "a::b.mp4"),
    *("ünïcode-🕺.mp4", "new\nline.mp4", "%2e%2e%2fup.mp4", "100%.mp4", "-rf.mp4", "esc\x1b[31m.mp4", "CON.mp4"),
    *("<img src=x onerror=alert(1)>.mp4", "Case.mp4", "case.mp4", "back\\slash.mp4", "$HOME;ls&|`id`.mp4"),
)
