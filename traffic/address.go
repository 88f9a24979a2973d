package traffic

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/juncture/juncture"
)

// MaxAddresses bounds a list.
const MaxAddresses = 1000

// Addresses is a list of networks: the store's own people, its offices and its agencies. The zero Addresses is empty.
type Addresses struct{ networks []netip.Prefix }

// ParseAddresses reads networks in CIDR form ("203.0.113.0/24", "2001:db8::/32") and single addresses.
//
// Errors: CodeInvalidRequest for one that is neither, one with a zone, one that is wider than /8 (/16 of IPv6), which
// would be a mistake, or more than MaxAddresses.
func ParseAddresses(list []string) (Addresses, error) {
	if len(list) > MaxAddresses {
		return Addresses{}, juncture.Errorf(juncture.CodeInvalidRequest, "%d addresses, at most %d", len(list), MaxAddresses)
	}
	var out Addresses
	for _, s := range list {
		s = strings.TrimSpace(s)
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, single := netip.ParseAddr(s)
			if single != nil {
				return Addresses{}, juncture.Errorf(juncture.CodeInvalidRequest, "%.60q is no address and no network: %w", s, err).
					WithHint("write 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32")
			}
			if a.Zone() != "" {
				return Addresses{}, juncture.Errorf(juncture.CodeInvalidRequest, "%.60q has a zone, which means nothing elsewhere", s)
			}
			a = a.Unmap()
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Addr().Is4In6() {
			return Addresses{}, juncture.Errorf(juncture.CodeInvalidRequest, "%.60q is an IPv4 network written as IPv6", s).WithHint("write it as IPv4")
		}
		if least := 8; p.Bits() < least || p.Addr().Is6() && p.Bits() < 2*least {
			return Addresses{}, juncture.Errorf(juncture.CodeInvalidRequest, "%.60q is too wide to be your own", s)
		}
		out.networks = append(out.networks, p.Masked())
	}
	return out, nil
}

// Contains reports whether an address is on the list; an IPv4 address written as IPv6 is taken as IPv4, a zone is ignored.
func (l Addresses) Contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return a.IsValid() && slices.ContainsFunc(l.networks, func(p netip.Prefix) bool { return p.Contains(a) })
}
