package tenure

import (
	"regexp"
	"strings"
	"unicode"
)

// What a customer puts into LICENSE_KEY: the short key, the token itself, or a .lic file.
//
// A short key has a check group, which finds every single wrong character and every swap of two
// neighbours. A file is the token in armour, 64 characters a line, and nothing else.

const (
	keyLenMax  = 160
	lineLen    = 64
	fileLenMax = 48*1024 + 2*(48*1024/lineLen) + 160
	beginLine  = "-----BEGIN TENURE LICENSE-----"
	endLine    = "-----END TENURE LICENSE-----"
	crockford  = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	checkPrime = 1_048_573
	checkBase  = 1_021
)

var (
	tokenLine = regexp.MustCompile(`\A[A-Za-z0-9._-]{1,64}\z`)
	folding   = strings.NewReplacer("O", "0", "I", "1", "L", "1")
)

// LicenseKey is a short key whose check group is right.
type LicenseKey struct{ text string }

// Expose is the whole key: a secret, never for a log.
func (k LicenseKey) Expose() string { return k.text }

// String is what may be shown.
func (k LicenseKey) String() string {
	return strings.Join(strings.Split(k.text, "-")[:3], "-") + "-..."
}

// GoString is what may be shown.
func (k LicenseKey) GoString() string { return "LicenseKey(" + k.String() + ")" }

// ParseLicenseKey reads what a person typed; it forgives case, blanks, dashes, and O for 0, I and L
// for 1.
func ParseLicenseKey(typed string) (LicenseKey, error) {
	malformed := func(why string) (LicenseKey, error) {
		return LicenseKey{}, refuse("license_key_malformed", "this is not a license key: %s", why)
	}
	if len(typed) > keyLenMax {
		return malformed("it is too long")
	}
	text, ok := normalised(typed)
	if !ok {
		return malformed("it has a character that no key has")
	}
	folded := folding.Replace(text)
	parts := strings.Split(folded, "-")
	if len(parts) != 8 {
		return malformed("it has a wrong number of groups")
	}
	for at, longest := range []int{12, 6, 12} {
		if len(parts[at]) < 1 || len(parts[at]) > longest {
			return malformed("its first groups have a wrong length")
		}
	}
	mistyped := checkGroup(folded[:strings.LastIndexByte(folded, '-')]) != parts[7]
	for _, group := range parts[3:] {
		if len(group) != 4 {
			return malformed("its last groups have four characters each")
		}
		mistyped = mistyped || strings.Contains(group, "U")
	}
	if mistyped {
		return LicenseKey{}, refuse("license_key_mistyped", "the license key has a typing mistake; compare it with the one that you were sent")
	}
	return LicenseKey{text}, nil
}

// normalised is upper case, plain dashes, no blanks.
func normalised(typed string) (string, bool) {
	var text strings.Builder
	for _, c := range typed {
		switch {
		case unicode.IsSpace(c) || unicode.Is(unicode.Z, c):
		case c == '-', c >= 0x2010 && c <= 0x2015, c == 0x2212:
			text.WriteByte('-')
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z':
			text.WriteRune(unicode.ToUpper(c))
		default:
			return "", false
		}
	}
	return text.String(), true
}

func checkGroup(folded string) string {
	sum := 0
	for _, c := range []byte(folded) {
		sum = (sum*checkBase + int(c)) % checkPrime
	}
	return string([]byte{
		crockford[sum>>15&31], crockford[sum>>10&31], crockford[sum>>5&31], crockford[sum&31],
	})
}

// ReadFile gives the token inside a license file; it has yet to be verified.
func ReadFile(file string) (string, error) {
	if len(file) > fileLenMax {
		return "", refuse("file_too_large", "at most %d bytes are read", fileLenMax)
	}
	for at := 0; at < len(file); at++ {
		if file[at] == 0 || file[at] > 127 {
			return "", refuse("file_not_plain", "the license file is not plain ASCII text; was it saved in another encoding?")
		}
	}
	lines, err := splitLines(file)
	if err != nil {
		return "", err
	}
	if lines[0] != beginLine {
		return "", refuse("file_no_begin", "the license file must begin with `%s`; remove whatever stands before it", beginLine)
	}
	return fileBody(lines)
}

func fileBody(lines []string) (string, error) {
	badLine := func(number int) (string, error) {
		return "", refuse("file_bad_line", "line %d is not part of a license; was the file re-wrapped or edited?", number)
	}
	token, short := "", 0
	for at := 1; at < len(lines); at++ {
		switch line := lines[at]; {
		case line == endLine && at+1 < len(lines):
			return "", refuse("file_trailing", "line %d: nothing may follow `%s`", at+2, endLine)
		case line == endLine && token == "":
			return badLine(at + 1)
		case line == endLine:
			return token, nil
		case !tokenLine.MatchString(line):
			return badLine(at + 1)
		case short != 0:
			// Only the last line may be short, or the same token had many files.
			return badLine(short)
		default:
			if len(line) < lineLen {
				short = at + 1
			}
			token += line
		}
	}
	return "", refuse("file_no_end", "the license file lacks its last line, `%s`", endLine)
}

// splitLines gives the lines without their ends, which must all be alike; the last line's may lack.
func splitLines(file string) ([]string, error) {
	crlf, ended := strings.Contains(file, "\r\n"), strings.HasSuffix(file, "\n")
	lines := strings.Split(strings.TrimSuffix(file, "\n"), "\n")
	for at, line := range lines {
		wants := crlf && (ended || at+1 < len(lines))
		bare := strings.TrimSuffix(line, "\r")
		if wants != (bare != line) || strings.Contains(bare, "\r") {
			return nil, refuse("file_mixed_line_ends", "line %d: line ends are mixed; all must be LF, or all CRLF", at+1)
		}
		lines[at] = bare
	}
	return lines, nil
}

// ReadPresented gives a token, yet to be verified, or a key, to be exchanged.
func ReadPresented(text string) (token string, key *LicenseKey, err error) {
	if strings.Contains(text, "-----BEGIN") {
		token, err = ReadFile(text)
		return token, nil, err
	}
	// An environment file or a mounted secret often ends with a line break.
	text = strings.Trim(text, " \t\n\r\f")
	if strings.Contains(text, ".") {
		return text, nil, nil
	}
	parsed, err := ParseLicenseKey(text)
	if err != nil {
		return "", nil, err
	}
	return "", &parsed, nil
}
