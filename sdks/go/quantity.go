package tenure

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"
)

// Quantity is exact: at most 15 digits before and 6 after the point. The zero value is none.
type Quantity struct{ millionths *big.Int }

var (
	plainDecimal  = regexp.MustCompile(`\A(-?)([0-9]+)(?:\.([0-9]+))?\z`)
	million       = big.NewInt(1_000_000)
	quantityBound = new(big.Int).Exp(big.NewInt(10), big.NewInt(21), nil)
)

// Units is a whole number of something.
func Units(count uint32) Quantity {
	return Quantity{new(big.Int).Mul(big.NewInt(int64(count)), million)}
}

// ParseQuantity reads a plain decimal such as "12" or "0.5".
func ParseQuantity(text string) (Quantity, error) {
	parts := plainDecimal.FindStringSubmatch(text)
	if len(text) > 60 || parts == nil {
		return Quantity{}, fmt.Errorf("`%s` is not a quantity: write a plain decimal such as 12 or 0.5", shown(text))
	}
	fraction := strings.TrimRight(parts[3], "0")
	if len(fraction) > 6 {
		return Quantity{}, errors.New("a quantity has at most 6 digits after the point")
	}
	value, _ := new(big.Int).SetString(parts[2]+fraction+strings.Repeat("0", 6-len(fraction)), 10)
	if parts[1] != "" && value.Sign() != 0 {
		return Quantity{}, errors.New("a quantity cannot be negative")
	}
	if value.Cmp(quantityBound) >= 0 {
		return Quantity{}, errors.New("a quantity has at most 15 digits before the point")
	}
	return Quantity{value}, nil
}

// String is without trailing zeros and without an exponent.
func (q Quantity) String() string {
	whole, rest := new(big.Int).QuoRem(q.value(), million, new(big.Int))
	fraction := strings.TrimRight(fmt.Sprintf("%06d", rest.Int64()), "0")
	if fraction == "" {
		return whole.String()
	}
	return whole.String() + "." + fraction
}

func (q Quantity) value() *big.Int {
	if q.millionths == nil {
		return new(big.Int)
	}
	return q.millionths
}

func (q Quantity) plus(other Quantity) Quantity {
	return Quantity{new(big.Int).Add(q.value(), other.value())}
}

func (q Quantity) above(other Quantity) bool { return q.value().Cmp(other.value()) > 0 }

// reaches says whether q is at least percent per cent of max, without rounding.
func (q Quantity) reaches(percent int64, max Quantity) bool {
	hundred := new(big.Int).Mul(q.value(), big.NewInt(100))
	return hundred.Cmp(new(big.Int).Mul(max.value(), big.NewInt(percent))) >= 0
}

// whole is the whole part; at most 15 digits.
func (q Quantity) whole() int64 { return new(big.Int).Quo(q.value(), million).Int64() }
