package console

import (
	"strings"
	"unicode/utf16"
)

// gsm is the basic character set of a text message and its extension, whose characters take two places (3GPP TS 23.038,
// tables 6.2.1 and 6.2.1.1).
const (
	gsm         = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended = "^{}\\[~]|€"
)

// smsLength returns the places that a text takes, in 7-bit characters or, where one is outside their set, in 16-bit units,
// and the messages that it is sent in: 160 places or 70 units in one, 153 or 67 in each of several, whose header takes the
// rest (3GPP TS 23.040, 9.2.3.24.1).
func smsLength(text string) (places, segments int, wide bool) {
	for _, r := range text {
		switch {
		case strings.ContainsRune(gsm, r):
			places++
		case strings.ContainsRune(gsmExtended, r):
			places += 2
		default:
			wide = true
		}
	}
	one, each := 160, 153
	if wide {
		places, one, each = len(utf16.Encode([]rune(text))), 70, 67
	}
	switch {
	case places == 0:
		return 0, 0, wide
	case places <= one:
		return places, 1, wide
	}
	return places, (places + each - 1) / each, wide
}
