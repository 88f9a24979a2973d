package preview

import (
	"encoding/json"
	"hash/fnv"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// words says how a state's texts differ from those of Many.
type words struct {
	ids  map[string]string                      // by the id in Many: wherever it stands, also in keys and paths
	text func(field, said string, n int) string // a text that somebody wrote; n differs from text to text
	big  int64                                  // counts and money are multiplied with it; 0: they are not
}

// written are the fields that hold what people, shops or shoppers wrote, whatever it looks like.
var written = []string{"Headline", "Body", "CTA", "Cta", "Owner", "Title", "Reason", "Why", "Message", "Example", "Tone", "Use", "Avoid", "Comment", "Display", "Top", "Query", "Order",
	"Category", "Brand", "Product", "With", "Sentence", "Sentences", "Says", "Rule", "ProductCategories", "Products", "MadeBy", "By", "Warnings", "Refused", "Value/SettingLine", "Name/StoreView", "Name/ClusterView", "Name/KeyView", "Name/Event", "Name/UserView",
	"Name/User", "Name/CategoryView", "Name/SSO", "Axis/", "Retired", "Breaches", "ID/ExplainedReward", "ID/ProductItem", "ID/ProductView", "Detail/"}

// counted are the fields that grow with the store.
var counted = []string{"Trials/Tally", "Outcomes/Tally", "Successes/Tally", "Value/Tally", "LogValue/Tally", "LogValueSq/Tally", "Shoppers/ValueCount", "Shoppers/MoveCount", "Size/ClusterView",
	"Shoppers/ClustersView", "Count/Quarantined", "Price/ProductItem", "Compare/ProductItem", "Price/ProductView", "LifetimeValue/ProfileView", "AverageOrderValue/ProfileView", "PurchaseCount/ProfileView", "Value/Event", "Price/Line",
	"Value/OutcomeView", "Value/ExplainedReward", "Own/ReplayArm", "Stock/ProductItem", "Products/CatalogueView", "Sellable/CatalogueView", "Read/Report", "Scored/Report", "PerDay/Cap"}

var token = regexp.MustCompile(`[\pL\pN_.-]+`)

// id rewrites the ids in a text that is made of them: a key, a path, an arm.
func (w words) id(s string) string {
	if v, ok := w.ids[s]; ok {
		return v
	}
	return token.ReplaceAllStringFunc(s, func(t string) string {
		if v, ok := w.ids[t]; ok {
			return v
		}
		return t
	})
}

func (w words) string(owner, field, s string) string {
	if v := w.id(s); v != s || s == "" {
		return v
	}
	of := func(list []string) bool {
		return slices.Contains(list, field) || slices.Contains(list, field+"/"+owner)
	}
	if w.text == nil || !of(written) && !strings.Contains(s, " ") || field == "Path" || slices.Contains([]string{"click", "purchase"}, s) {
		return s
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(s))
	return w.text(field, s, int(h.Sum32()%1000))
}

// rewrite copies data with the state's words in it.
func (w words) rewrite(d *Data) *Data {
	return w.value("", "", reflect.ValueOf(d)).Interface().(*Data)
}

func (w words) value(owner, field string, v reflect.Value) reflect.Value {
	t := v.Type()
	out := reflect.New(t).Elem()
	out.Set(v)
	switch {
	case t == reflect.TypeFor[time.Time]() || t == reflect.TypeFor[error]() || t == reflect.TypeFor[juncture.UnitRow]():
	case t == reflect.TypeFor[json.RawMessage]() || t == reflect.TypeFor[[]byte]() && (field == "Before" || field == "After"):
		var x any
		if json.Unmarshal(v.Bytes(), &x) == nil {
			if b, err := json.Marshal(w.value(owner, field, reflect.ValueOf(&x).Elem()).Interface()); err == nil {
				out.SetBytes(b)
			}
		}
	case t.Kind() == reflect.String:
		if t == reflect.TypeFor[string]() || w.ids[v.String()] != "" {
			out.SetString(w.string(owner, field, v.String()))
		}
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
		if w.big > 0 && slices.Contains(counted, field+"/"+owner) {
			out.SetInt(v.Int() * w.big)
		}
	case t.Kind() == reflect.Float64:
		if w.big > 0 && slices.Contains(counted, field+"/"+owner) {
			out.SetFloat(v.Float() * float64(w.big))
		}
	case t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface:
		if v.IsNil() {
			break
		}
		x := w.value(owner, field, v.Elem())
		if t.Kind() == reflect.Pointer {
			p := reflect.New(t.Elem())
			p.Elem().Set(x)
			x = p
		}
		out.Set(x)
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() {
				out.Field(i).Set(w.value(t.Name(), f.Name, v.Field(i)))
			}
		}
	case t.Kind() == reflect.Slice && !v.IsNil():
		out.Set(reflect.MakeSlice(t, v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(w.value(owner, field, v.Index(i)))
		}
	case t.Kind() == reflect.Array:
		for i := range v.Len() {
			out.Index(i).Set(w.value(owner, field, v.Index(i)))
		}
	case t.Kind() == reflect.Map && !v.IsNil():
		out.Set(reflect.MakeMapWithSize(t, v.Len()))
		for it := v.MapRange(); it.Next(); {
			key, name := it.Key(), field
			if key.Kind() == reflect.String {
				if t.Elem().Kind() == reflect.Interface { // an object of JSON: its keys are fields
					name = strings.ToUpper(key.String()[:1]) + key.String()[1:]
				} else {
					key = reflect.ValueOf(w.id(key.String())).Convert(t.Key())
				}
			}
			out.SetMapIndex(key, w.value(owner, name, it.Value()))
		}
	}
	return out
}
