package layers

import (
	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/catalogue"
	"github.com/juncture/juncture/layers/meaning"
)

// olderBy is how far before the latest touch the taste ends that the hysteresis of the cluster leans on: a shopper stays
// where the days before had them until another cluster is clearly nearer. Being a function of the touches, it neither
// depends on when the profile was read nor needs to be kept.
const olderBy = 24 * 60 * 60 * 1000

// Taste is the shopper's taste as the store sees its goods now, and the cluster that the older part of it leans to, ""
// for none, or where nothing is known but goods.
func (p *Profile) Taste(k Knowledge, set Settings) (taste meaning.Taste, before string) {
	touches := p.touches(k.Index)
	if len(touches) == 0 {
		return taste, ""
	}
	taste = k.Goods.Taste(touches, set.Meaning)
	older := touches[:0]
	for _, t := range touches {
		if t.At <= taste.At-olderBy {
			older = append(older, t)
		}
	}
	if len(older) > 0 && k.Model != nil {
		a, _ := k.Model.Assign(k.Goods.Taste(older, set.Meaning).Vector)
		before = a.ID
	}
	return taste, before
}

// TasteOf is the shopper's taste as goods are seen; it asks for goods.
func (p *Profile) TasteOf(k Knowledge, set Settings) meaning.Taste {
	return k.Goods.Taste(p.touches(k.Index), set.Meaning)
}

// touches are the products viewed, in the bag and bought last, and the categories of the latest events about no product
// that the store knows.
func (p *Profile) touches(index *catalogue.Index) []meaning.Touch {
	g := &p.Goods
	out := make([]meaning.Touch, 0, len(g.Viewed)+len(g.Bag)+len(g.Bought)+8)
	for _, list := range []struct {
		seen   []catalogue.Seen
		weight float64
	}{
		{g.Viewed, meaning.Weight(juncture.EventProductViewed)},
		{g.Bag, meaning.Weight(juncture.EventProductAdded)},
		{g.Bought, meaning.Weight(juncture.EventOrderCompleted)},
	} {
		for _, s := range list.seen {
			if !s.Out {
				out = append(out, meaning.Touch{Product: uint64(s.Key), Weight: list.weight, At: s.At})
			}
		}
	}
	for i := range p.Ring {
		r := &p.Ring[i]
		w := meaning.Weight(r.Kind)
		if w == 0 {
			continue
		}
		if len(r.Lines) == 0 && r.Category != "" {
			out = append(out, meaning.Touch{Category: r.Category, Weight: w, At: r.At})
		}
		for _, l := range r.Lines {
			if l.Category != "" && !sells(index, l.Product) {
				out = append(out, meaning.Touch{Category: l.Category, Weight: w, At: r.At})
			}
		}
	}
	return out
}

func sells(index *catalogue.Index, product string) bool {
	if index == nil {
		return false
	}
	_, ok := index.Get(product)
	return ok
}

// looks are the categories of the latest events, the catalogue's where it knows the product. Where there is a catalogue,
// what it does not sell is not looked at: whoever sends events names categories. Nor is what is about a sensitive trait.
func (p *Profile) looks(index *catalogue.Index) []catalogue.Look {
	feed := index != nil && index.Len() > 0
	last, sold := "", false // events of one visit mostly name one category
	sells := func(category string) bool {
		if category != "" && category != last {
			last, sold = category, index.Sells(category)
		}
		return category != "" && sold
	}
	out := make([]catalogue.Look, 0, len(p.Ring))
	for i := range p.Ring {
		r := &p.Ring[i]
		w := catalogue.Interest(r.Kind)
		if w == 0 {
			continue
		}
		if len(r.Lines) == 0 && (!feed || sells(r.Category)) {
			out = append(out, catalogue.Look{Category: r.Category, Weight: w, At: r.At})
		}
		for _, l := range r.Lines {
			category := l.Category
			if feed {
				known, ok := index.Get(l.Product)
				switch {
				case ok && index.Sealed(catalogue.KeyOf(l.Product)):
					continue
				case ok && known.Category != "":
					category = known.Category
				case !sells(category):
					continue
				}
			}
			out = append(out, catalogue.Look{Category: category, Weight: w / float64(len(r.Lines)), At: r.At})
		}
	}
	return out
}

// Shares are the taste clusters that the shopper is nearest to, at most three, with how much of each: whose likes what the
// shopper does counts towards.
func (p *Profile) Shares(k Knowledge, set Settings) []catalogue.Share {
	if k.Model == nil {
		return nil
	}
	return shares(k, p.TasteOf(k, set).Vector, 3)
}

// Leanings are the taste clusters that the shopper is recommended from, at most eight, the nearest first, and how near a
// product is to the shopper's own taste; nothing while no clusters have been learnt.
func (p *Profile) Leanings(k Knowledge, set Settings) ([]catalogue.Share, func(catalogue.Key) float64) {
	if k.Model == nil {
		return nil, nil
	}
	v := p.TasteOf(k, set).Vector
	near := k.Goods.Near(v)
	return shares(k, v, 8), func(key catalogue.Key) float64 { return near(uint64(key)) }
}

func shares(k Knowledge, v meaning.Vector, most int) []catalogue.Share {
	var out []catalogue.Share
	for _, n := range k.Model.Nearest(v, most) {
		out = append(out, catalogue.Share{Cluster: n.ID, Weight: n.Weight, Name: n.Name})
	}
	return out
}
