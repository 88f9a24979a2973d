package access

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Cost of a password hash: the second choice of the OWASP Password Storage Cheat Sheet, 36 ms on the machine that it
// was measured on.
const (
	argonTime    = 2
	argonMemory  = 19 << 10 // KiB
	argonThreads = 1
	saltSize     = 16
	hashSize     = 32
)

// Limits of a password.
const (
	MinPassword = 10   // characters
	MaxPassword = 1024 // bytes
)

// HashPassword returns the argon2id hash in PHC form, $argon2id$v=19$m=19456,t=2,p=1$salt$hash. The error is
// CodeInvalidRequest (too short or too long), or CodeInternal when rand fails.
func HashPassword(password string, rand io.Reader) (string, error) {
	if utf8.RuneCountInString(password) < MinPassword || len(password) > MaxPassword || !utf8.ValidString(password) {
		return "", invalid("password", fmt.Sprintf("a password is %d characters to %d bytes", MinPassword, MaxPassword), "longer is better than odder")
	}
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(rand, salt); err != nil {
		return "", noRandom(err)
	}
	sum := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, hashSize)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum)), nil
}

// checkPassword compares a password with a PHC hash, whose own cost counts. A hash that cannot be read matches nothing.
func checkPassword(phc, password string) bool {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || len(password) > MaxPassword {
		return false
	}
	var version int
	var memory, rounds uint32
	var threads uint8
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &rounds, &threads); err != nil ||
		version != argon2.Version || memory > 256<<10 || rounds < 1 || rounds > 10 || threads < 1 || threads > 16 {
		return false // also a cost that would stop the process
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(want) < 16 || len(want) > 64 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, rounds, memory, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}

// checkNobody takes as long as checking a password, for users that do not exist.
func checkNobody(password string) {
	if len(password) <= MaxPassword {
		argon2.IDKey([]byte(password), make([]byte, saltSize), argonTime, argonMemory, argonThreads, hashSize)
	}
}

// GeneratePassword returns 20 characters that are easy to copy, in groups of five, worth 100 bits.
func GeneratePassword(rand io.Reader) (string, error) {
	const alphabet = "abcdefghijkmnpqrstuvwxyz23456789" // 32, without l, o, 0 and 1
	random := make([]byte, 20)
	if _, err := io.ReadFull(rand, random); err != nil {
		return "", noRandom(err)
	}
	var b strings.Builder
	for i, r := range random {
		if i > 0 && i%5 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[r%32])
	}
	return b.String(), nil
}
