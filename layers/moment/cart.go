package moment

import (
	"cmp"
	"slices"

	"github.com/juncture/juncture"
)

// maxChanges is how many changes of one cart are kept one by one.
const maxChanges = 16

// change is one product put into the bag or taken out of it.
type change struct {
	at      int64  // ms
	product uint64 // hash
	by      int32  // quantity; negative: out
}

// cart knows when the bag and the checkout were last touched, and what the bag holds since it was last cleared by an
// order or an emptied cart.
type cart struct {
	step     int64    // ms of the last change of the bag, or look at a bag with something in it
	look     int64    // ms of the last look at a bag of which nothing was said
	checkout int64    // ms of the last checkout step
	clear    int64    // ms of the last order or emptied cart
	changes  []change // since clear, ascending, at most maxChanges
	carried  int64    // quantity of the changes that fell off
	carriedA int64    // ms of the last that fell off
}

func compareChanges(a, b change) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(b.by, a.by), cmp.Compare(a.product, b.product))
}

func (c *cart) fold(e juncture.Event, at int64) {
	switch e.Kind {
	case juncture.EventProductAdded, juncture.EventProductRemoved:
		c.step = max(c.step, at)
		sign := int32(1)
		if e.Kind == juncture.EventProductRemoved {
			sign = -1
		}
		if len(e.Lines) == 0 {
			c.add(change{at, 0, sign})
		}
		for _, l := range e.Lines {
			c.add(change{at, hash(l.Product), sign * int32(min(max(l.Quantity, 1), 1<<20))})
		}
	case juncture.EventCartViewed:
		if len(e.Lines) > 0 {
			c.step = max(c.step, at)
		} else {
			c.look = max(c.look, at)
		}
	case juncture.EventCheckoutStarted, juncture.EventCheckoutStep:
		c.checkout = max(c.checkout, at)
	case juncture.EventOrderCompleted, juncture.EventCartEmptied:
		c.clearAt(at)
	}
}

func (c *cart) clearAt(at int64) {
	if at <= c.clear {
		return
	}
	c.clear = at
	i := slices.IndexFunc(c.changes, func(x change) bool { return x.at > at })
	if i < 0 {
		i = len(c.changes)
	}
	c.changes = slices.Delete(c.changes, 0, i)
	if c.carriedA <= at {
		c.carried, c.carriedA = 0, 0
	}
}

func (c *cart) add(x change) {
	if x.at <= c.clear {
		return
	}
	i, _ := slices.BinarySearchFunc(c.changes, x, compareChanges)
	c.changes = slices.Insert(c.changes, i, x)
	if len(c.changes) > maxChanges {
		c.carried += int64(c.changes[0].by)
		c.carriedA = max(c.carriedA, c.changes[0].at)
		c.changes = slices.Delete(c.changes, 0, 1)
	}
}

func (c *cart) merge(o cart) {
	c.step, c.look, c.checkout = max(c.step, o.step), max(c.look, o.look), max(c.checkout, o.checkout)
	c.clearAt(o.clear)
	if o.carriedA > c.clear {
		c.carried += o.carried
		c.carriedA = max(c.carriedA, o.carriedA)
	}
	for _, x := range o.changes {
		c.add(x)
	}
}

// holds is the quantity in the bag, and when it was last emptied: by an order, by hand, or by taking out the last thing.
func (c *cart) holds() (quantity int, emptied int64) {
	emptied = c.clear
	total := max(c.carried, 0)
	var products [maxChanges]uint64
	var held [maxChanges]int64
	n := 0
	spare := total // of products whose adding fell off
	for _, x := range c.changes {
		i := slices.Index(products[:n], x.product)
		if i < 0 {
			i = n
			products[i] = x.product
			n++
		}
		by := int64(x.by)
		if by < 0 {
			own := min(held[i], -by)
			held[i] -= own
			rest := min(spare, -by-own)
			spare -= rest
			total -= own + rest
		} else {
			held[i] += by
			total += by
		}
		if total == 0 {
			emptied = max(emptied, x.at)
		}
	}
	return int(min(total, 1<<30)), emptied
}

// abandonable returns the last step of a cart or a checkout that nothing has cleared since; 0 for none.
func (c *cart) abandonable() (checkout, step int64) {
	_, emptied := c.holds()
	if c.checkout > emptied {
		checkout = c.checkout
	}
	if c.step > emptied {
		step = c.step
	}
	if c.look > emptied && (step > 0 || emptied == 0) {
		step = max(step, c.look)
	}
	return checkout, step
}
