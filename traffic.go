package juncture

import (
	"fmt"
	"net/netip"
)

// Traffic says who is no shopper (package traffic): served, never learnt from, and counted. The zero Traffic looks for
// everything and lists nobody.
type Traffic struct {
	Staff    []string `json:"staff,omitempty"`    // addresses and networks (CIDR) of the store's own people, at most MaxStaff
	Agents   *bool    `json:"agents,omitempty"`   // programs whose User-Agent says so; nil means true
	Rates    *bool    `json:"rates,omitempty"`    // shoppers who call more often than a person can; nil: of calls with a publishable key alone, true: of all
	Scanners *bool    `json:"scanners,omitempty"` // mail scanners that follow every link; nil means true
}

// MaxStaff bounds the list.
const MaxStaff = 1000

// On is a switch of Traffic, its default filled in.
func (Traffic) On(v *bool) bool { return v == nil || *v }

// Counts reports whether a call counts towards a shopper's rate. A server that holds a secret key may call as often as it
// likes, a shop's own tests and mailings among them, unless the store asks for more.
func (t Traffic) Counts(public bool) bool {
	if t.Rates == nil {
		return public
	}
	return *t.Rates
}

func (c *check) traffic(t *Traffic) {
	if t == nil {
		return
	}
	c.most("traffic.staff", len(t.Staff), MaxStaff)
	for i, s := range t.Staff {
		path := fmt.Sprintf("traffic.staff[%d]", i)
		p, err := netip.ParsePrefix(s)
		if a, single := netip.ParseAddr(s); single == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
		}
		switch {
		case err != nil:
			c.add(path, fmt.Sprintf("%.80q is no address and no network", s), "203.0.113.0/24, or 203.0.113.7")
		case p.Addr().Is4In6():
			c.add(path, fmt.Sprintf("%.80q is an IPv4 network written as IPv6", s), "write it as IPv4")
		case p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 16:
			c.add(path, fmt.Sprintf("%.80q is too wide to be your own", s), "at least /8, of IPv6 /16")
		}
	}
}
