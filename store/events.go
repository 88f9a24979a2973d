package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
)

// ProfileFolder is memory that follows the events. Its methods are called on the writer's goroutine, between commits.
type ProfileFolder interface {
	// FoldProfiles takes what one commit added, in order. It must not fail: the commit is done.
	FoldProfiles(changes []juncture.ProfileChange)
	// DirtyProfiles names the profiles that changed since they were last clean.
	DirtyProfiles() []string
	// ProfileRows returns those of them that are still dirty, as they are now, described at now.
	ProfileRows(shoppers []string, now time.Time) []juncture.ProfileRow
	// CleanProfiles says that the store holds these as ProfileRows gave them.
	CleanProfiles(shoppers []string)
	// CrowdedProfiles reports whether more are dirty than memory is meant to hold.
	CrowdedProfiles() bool
}

// who is the ids of an event with whom they belong to.
type who struct {
	ids []string
	are map[string]somebody
}

func (t *turn) who(w *juncture.EventWrite) (who, error) {
	o := who{are: map[string]somebody{}}
	for _, id := range []string{w.AnonymousID, w.UserID, w.PreviousID} {
		if id == "" || slices.Contains(o.ids, id) {
			continue
		}
		k, err := t.w.whose(t.tx, id)
		if err != nil {
			return o, err
		}
		o.ids, o.are[id] = append(o.ids, id), k
	}
	if len(o.ids) == 0 {
		return o, fmt.Errorf("event %.80q has no id of a shopper", w.Event.ID)
	}
	return o, nil
}

// foreign are the ids of an event that belong to another person than its user: devices, which pass to the user, and
// people, who stay who they are.
func (o who) foreign(user string) (devices, people []string) {
	if user == "" {
		return nil, nil
	}
	for _, id := range o.ids {
		switch k := o.are[id]; {
		case id == user || !k.person || k.shopper == o.are[user].shopper:
		case k.known:
			people = append(people, id)
		default:
			devices = append(devices, id)
		}
	}
	return devices, people
}

// untrusted reports an alias that would make two people one without the right to. An id that only decisions bear may
// be a person's.
func (t *turn) untrusted(w *juncture.EventWrite, o who) (bool, error) {
	if w.PreviousID == "" || w.Trusted || w.UserID == "" {
		return false, nil
	}
	if _, people := o.foreign(w.UserID); slices.Contains(people, w.PreviousID) {
		return true, nil
	}
	if o.are[w.PreviousID].shopper != "" || w.PreviousID == w.UserID {
		return false, nil
	}
	var first int64
	err := t.tx.Stmtx(t.w.stmts.firstDecision).QueryRow(w.PreviousID).Scan(&first)
	return err == nil, ignoreNone(err)
}

// heed writes what an event says of consent, before any event of its entry: under the user's id, and the device's unless
// that is another person's.
func (t *turn) heed(w *juncture.EventWrite) error {
	said := consentOf(w.Consent)
	if said == (consent{}) {
		return nil
	}
	o, err := t.who(w)
	if err != nil {
		return err
	}
	if no, err := t.untrusted(w, o); no || err != nil {
		return err
	}
	devices, people := o.foreign(w.UserID)
	for _, id := range o.ids {
		if id == w.PreviousID && id != w.UserID || slices.Contains(devices, id) || slices.Contains(people, id) {
			continue
		}
		changed, err := t.say(id, said)
		if err != nil {
			return err
		}
		w.Stale = w.Stale || changed
	}
	return nil
}

// event writes one event, with the merge that its ids may call for. Where one of them denied consent nothing of it is
// written but that, under all of them.
func (t *turn) event(w *juncture.EventWrite) error {
	w.Duplicate, w.Denied, w.Refused = false, false, false
	o, err := t.who(w)
	if err != nil {
		return err
	}
	if w.Refused, err = t.untrusted(w, o); err != nil {
		return err
	} else if w.Refused {
		return t.quarantine(juncture.Quarantined{Reason: juncture.ReasonUntrustedAlias, Latest: w.Received,
			Message: "an alias of two known shoppers needs a secret key", Example: string(w.Raw[:min(len(w.Raw), 512)])})
	}
	devices, people := o.foreign(w.UserID)
	if w.Trusted && w.PreviousID != "" {
		people = slices.DeleteFunc(people, func(id string) bool { return id == w.PreviousID })
		devices = slices.DeleteFunc(devices, func(id string) bool { return o.are[id].shopper == o.are[w.PreviousID].shopper }) // theirs together now
	}
	o.ids = slices.DeleteFunc(o.ids, func(id string) bool { return slices.Contains(people, id) })
	if w.Denied, err = t.spread(w, o, devices); w.Denied || err != nil {
		return err
	}
	if !w.Quiet {
		res, err := t.tx.Stmtx(t.w.stmts.message).Exec(t.messageKey(w), ms(w.Received))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			w.Duplicate = true
			return err
		}
	}
	o.ids = slices.DeleteFunc(o.ids, func(id string) bool { return slices.Contains(devices, id) })
	if w.Event.Shopper, err = t.unite(w, o); err != nil {
		return err
	}
	for _, id := range devices {
		if err := t.move(id, o.are[id], w.Event.Shopper); err != nil {
			return err
		}
	}
	if w.Quiet {
		return nil
	}
	if w.Duplicate, err = t.knownOrder(&w.Event, w.Received); w.Duplicate || err != nil {
		return err
	}
	body, err := json.Marshal(w.Event)
	if err != nil {
		return err
	}
	serial := t.nextEvent()
	if _, err := t.tx.Stmtx(t.w.stmts.event).Exec(int64(serial), ms(w.Event.At), ms(w.Received), w.Event.Kind, w.Event.Name,
		w.Event.Shopper, body, w.Raw); err != nil {
		return err
	}
	e := w.Event
	t.changes = append(t.changes, juncture.ProfileChange{Serial: serial, Event: &e})
	return nil
}

// spread has a denial of one of an event's ids be that of all of them, and reports whether there is one. A device that
// was another person's is the user's from now on: what the other said is not.
func (t *turn) spread(w *juncture.EventWrite, o who, devices []string) (bool, error) {
	no := consentOf(w.Consent).denials()
	for _, id := range o.ids {
		if !slices.Contains(devices, id) {
			no = no.over(o.are[id].consent.denials())
		}
	}
	if no == (consent{}) {
		return false, nil
	}
	for _, id := range o.ids {
		if slices.Contains(devices, id) {
			// It bears the first-seen id of its shopper; one whom nothing is known of but the denial stays without a name.
			into := o.are[w.UserID].shopper
			if into == "" {
				into = "denied-" + hex.EncodeToString(hidden(t.w.salt, w.UserID))
			}
			if err := t.move(id, o.are[id], into); err != nil {
				return true, err
			}
			w.Stale = true
		}
		changed, err := t.say(id, no)
		if err != nil {
			return true, err
		}
		w.Stale = w.Stale || changed
	}
	return true, nil
}

// messageKey is what a message is known by. Ids that strangers can send too are of their sender and shopper alone.
func (t *turn) messageKey(w *juncture.EventWrite) int64 {
	if w.Scope == "" {
		sum := sha256.Sum256([]byte(w.Event.ID))
		return int64(binary.BigEndian.Uint64(sum[:]))
	}
	return t.keyed("message", w.Scope, w.UserID, w.AnonymousID, w.PreviousID, w.Event.ID)
}

// keyed hashes parts with the store's secret: nobody finds a shopper among the messages by guessing.
func (t *turn) keyed(parts ...string) int64 {
	m := hmac.New(sha256.New, t.w.salt)
	for _, p := range parts {
		fmt.Fprintf(m, "%d:", len(p))
		m.Write([]byte(p))
	}
	return int64(binary.BigEndian.Uint64(m.Sum(nil)))
}

// knownOrder reports whether an order of the shopper is in the log already, under whichever message, and notes it.
func (t *turn) knownOrder(e *juncture.Event, received time.Time) (bool, error) {
	if e.Kind != juncture.EventOrderCompleted || e.Order == "" || e.Order == e.ID {
		return false, nil
	}
	key := func(shopper string) int64 { return t.keyed("order", shopper, e.Order, strconv.Itoa(int(e.Kind))) }
	res, err := t.tx.Stmtx(t.w.stmts.message).Exec(key(e.Shopper), ms(received))
	if err != nil {
		return false, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return true, err
	}
	var parts []string // profiles that became part of theirs
	if err := t.tx.Select(&parts, sameShopper, e.Shopper, e.Shopper, e.Shopper); err != nil {
		return false, err
	}
	for _, p := range parts {
		if p == e.Shopper {
			continue
		}
		var held bool
		if err := t.tx.Get(&held, `SELECT EXISTS (SELECT 1 FROM messages WHERE hash = ?)`, key(p)); held || err != nil {
			return held, err
		}
	}
	return false, nil
}

func (t *turn) nextEvent() uint64 {
	t.events++
	return t.events
}

// names reports whether an id of an event names a person. Trackers that have no user send the device as both.
func names(w *juncture.EventWrite, id string) bool { return id == w.UserID && id != w.AnonymousID }

// unite returns the one profile behind all the ids, the one seen first. Ids that are new become its aliases; other
// profiles become part of it.
func (t *turn) unite(w *juncture.EventWrite, o who) (string, error) {
	known := map[string]somebody{}
	stands := somebody{}
	for _, id := range o.ids {
		f := o.are[id]
		if f.shopper == "" {
			if len(o.ids) == 1 {
				continue
			}
			// An id that decisions were made for is somebody too.
			err := t.tx.Stmtx(t.w.stmts.firstDecision).QueryRow(id).Scan(&f.first)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err == nil {
				f.shopper = id
				err = t.bind(id, id, f.first, names(w, id))
			}
			if err != nil {
				return "", err
			}
		} else if err := t.isKnown(id, f, names(w, id)); err != nil {
			return "", err
		}
		known[id] = f
		if stands.shopper == "" || f.first < stands.first || f.first == stands.first && f.shopper < stands.shopper {
			stands = f
		}
	}
	if stands.shopper == "" {
		stands = somebody{shopper: o.ids[0], first: ms(w.Event.At)}
	}
	for _, id := range o.ids {
		f, ok := known[id]
		switch {
		case !ok:
			if err := t.bind(id, stands.shopper, stands.first, names(w, id)); err != nil {
				return "", err
			}
			if err := t.absorb(o.are[id].consent, id, stands.shopper); err != nil {
				return "", err
			}
		case f.shopper != stands.shopper:
			w.Stale = true
			if err := t.merge(f.shopper, stands.shopper, stands.first, w.Event.At); err != nil {
				return "", err
			}
			for other, k := range known {
				if k.shopper == f.shopper {
					known[other] = stands
				}
			}
		}
	}
	if names(w, w.UserID) && !w.Stale && len(known) > 0 && !stands.person { // their other devices are a person's now
		var n int
		if err := t.tx.Get(&n, `SELECT count(*) FROM aliases WHERE shopper = ?`, stands.shopper); err != nil {
			return "", err
		}
		w.Stale = n > len(o.ids)
	}
	return stands.shopper, nil
}

// move makes a device another shopper's from now on. What bears its id stays whose it was.
func (t *turn) move(id string, was somebody, into string) error {
	_, err := t.tx.Exec(`UPDATE aliases SET shopper = ?, past = CASE WHEN ? = ? THEN '' ELSE ? END WHERE id = ?`,
		into, was.rows(id), into, was.rows(id), id)
	return err
}

func (t *turn) merge(from, into string, first int64, at time.Time) error {
	said, err := t.w.saidBy(t.tx, from)
	if err != nil {
		return err
	}
	serial := t.nextEvent()
	for _, q := range []struct {
		sql  string
		args []any
	}{
		{`UPDATE aliases SET shopper = ?, first_seen = ? WHERE shopper = ?`, []any{into, first, from}},
		{`UPDATE aliases SET past = CASE WHEN shopper = ? THEN '' ELSE ? END WHERE past = ?`, []any{into, into, from}},
		{`INSERT INTO merges (serial, at, from_shopper, into_shopper) VALUES (?, ?, ?, ?)`, []any{int64(serial), ms(at), from, into}},
		{`DELETE FROM standings WHERE shopper = ?`, []any{from}},
	} {
		if _, err := t.tx.Exec(q.sql, q.args...); err != nil {
			return err
		}
	}
	if err := t.absorb(said, from, into); err != nil {
		return err
	}
	if err := t.mergeUnits(from, into); err != nil {
		return err
	}
	t.changes = append(t.changes, juncture.ProfileChange{Serial: serial, From: from, Into: into})
	return nil
}

func (t *turn) quarantine(q juncture.Quarantined) error {
	_, err := t.tx.Exec(`INSERT INTO quarantine (reason, count, latest, message, example) VALUES (?, 1, ?, ?, ?)
		ON CONFLICT (reason) DO UPDATE SET count = quarantine.count + 1, latest = excluded.latest, message = excluded.message,
		example = excluded.example`, q.Reason, ms(q.Latest), q.Message, q.Example)
	return err
}

// Quarantine returns what could not be taken, by reason.
func (db *DB) Quarantine(ctx context.Context) ([]juncture.Quarantined, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT reason, count, latest, message, example FROM quarantine ORDER BY count DESC, reason`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.Quarantined
	for rows.Next() {
		var q juncture.Quarantined
		var latest int64
		if err := rows.Scan(&q.Reason, &q.Count, &latest, &q.Message, &q.Example); err != nil {
			return nil, err
		}
		q.Latest = fromMS(latest)
		out = append(out, q)
	}
	return out, rows.Err()
}

// Profile reads a shopper's profile with their standing; an empty row where there is none.
func (db *DB) Profile(ctx context.Context, shopper string) (juncture.ProfileRow, error) {
	found, err := profileRows(ctx, db.read, `WHERE p.shopper = ?`, shopper)
	if err != nil || len(found) == 0 {
		return juncture.ProfileRow{Shopper: shopper}, err
	}
	return found[0], nil
}

// EachProfile returns the profiles after a shopper's id, in order of ids, at most limit, as they were last written.
// Those that are part of others by now are left out.
func (db *DB) EachProfile(ctx context.Context, after string, limit int) ([]juncture.ProfileRow, error) {
	return profileRows(ctx, db.read, `WHERE p.shopper > ? AND NOT EXISTS (SELECT 1 FROM aliases a
		WHERE a.id = p.shopper AND p.shopper <> CASE a.past WHEN '' THEN a.shopper ELSE a.past END)
		ORDER BY p.shopper LIMIT ?`, after, limit)
}

func profileRows(ctx context.Context, q sqlx.QueryerContext, where string, args ...any) ([]juncture.ProfileRow, error) {
	rows, err := q.QueryContext(ctx, `SELECT p.shopper, p.body, p.marks, coalesce(s.at, 0), coalesce(s.moment, ''), coalesce(s.meaning, ''),
		coalesce(s.trajectory, ''), coalesce(s.catalogue, ''), coalesce(s.window_name, ''), coalesce(s.posture, ''), coalesce(s.reason, '')
		FROM profiles p LEFT JOIN standings s ON s.shopper = p.shopper `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.ProfileRow
	for rows.Next() {
		var r juncture.ProfileRow
		var marks []byte
		var at int64
		s := &r.Standing
		if err := rows.Scan(&r.Shopper, &r.Body, &marks, &at, &s.Values[juncture.Moment], &s.Values[juncture.Meaning], &s.Values[juncture.Trajectory],
			&s.Values[juncture.Catalogue], &s.Window, &s.Posture, &s.Reason); err != nil {
			return nil, err
		}
		s.At = fromMS(at)
		if _, r.Marks, err = decodeCell(marks); err != nil {
			return nil, fmt.Errorf("profile of %.80q: %w", r.Shopper, err)
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// RestoreProfiles calls f for every event and merge after the profiles' watermarks, in each node's order.
func (db *DB) RestoreProfiles(ctx context.Context, f func(juncture.ProfileChange) error) error {
	rows, err := db.read.QueryContext(ctx, `SELECT serial, body, '', '' FROM events
		WHERE serial > coalesce((SELECT w.serial FROM profile_watermarks w WHERE w.node = events.serial >> 53), 0)
		UNION ALL SELECT serial, NULL, from_shopper, into_shopper FROM merges
		WHERE serial > coalesce((SELECT w.serial FROM profile_watermarks w WHERE w.node = merges.serial >> 53), 0)
		ORDER BY 1`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var c juncture.ProfileChange
		var serial int64
		var body []byte
		if err := rows.Scan(&serial, &body, &c.From, &c.Into); err != nil {
			return err
		}
		c.Serial = uint64(serial)
		if body != nil {
			c.Event = &juncture.Event{}
			if err := json.Unmarshal(body, c.Event); err != nil {
				return fmt.Errorf("event %d: %w", serial, err)
			}
		}
		if err := f(c); err != nil {
			return err
		}
	}
	return rows.Err()
}

// EventsOf returns a shopper's latest events, newest first, at most limit, from all profiles that became theirs.
func (db *DB) EventsOf(ctx context.Context, shopper string, limit int) ([]juncture.Event, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT body FROM events WHERE shopper IN (`+sameShopper+`) ORDER BY serial DESC LIMIT ?`, shopper, shopper, shopper, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.Event
	for rows.Next() {
		var body []byte
		var e juncture.Event
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(body, &e); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// sameShopper are all ids that rows of a shopper may bear: their own, their aliases', and of those that became part of
// them, directly or through others; of a device that passed from one to another, the one whose the rows are. Its three
// arguments are the shopper.
const sameShopper = `WITH RECURSIVE same (id) AS (SELECT ? UNION SELECT m.from_shopper FROM merges m JOIN same ON m.into_shopper = same.id)
	SELECT id FROM same UNION SELECT id FROM aliases WHERE shopper = ? AND past = '' UNION SELECT id FROM aliases WHERE past = ? AND past <> ''`

// profileChunk bounds how long one turn of a checkpoint keeps requests waiting.
const profileChunk = 500

// CheckpointProfiles writes every profile that is dirty when it begins, in turns between commits, and then the
// watermark before which start-up need not look. It returns how many it wrote.
func (w *Writer) CheckpointProfiles(ctx context.Context) (int, error) {
	if w.profiles == nil {
		return 0, nil
	}
	var start uint64
	var dirty []string
	begin := &request{ctx: ctx, err: make(chan error, 1), do: func(*sqlx.Tx) error {
		start, dirty = w.lastEvent, w.profiles.DirtyProfiles()
		return nil
	}}
	if err := w.send(begin); err != nil {
		return 0, err
	}
	for i := 0; i < len(dirty); i += profileChunk {
		if err := w.send(w.writeProfiles(ctx, dirty[i:min(i+profileChunk, len(dirty))])); err != nil {
			return 0, err
		}
	}
	if len(dirty) == 0 {
		return 0, nil
	}
	return len(dirty), w.send(&request{ctx: ctx, err: make(chan error, 1), do: func(tx *sqlx.Tx) error {
		// Profiles that became part of others are not needed once no merge can have to be folded again.
		if _, err := tx.Exec(`DELETE FROM profiles WHERE shopper IN (SELECT from_shopper FROM merges WHERE serial <= ? AND
			serial > coalesce((SELECT serial FROM profile_watermarks WHERE node = ?), 0))`, int64(start), w.o.Node); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO profile_watermarks (node, serial) VALUES (?, ?)
			ON CONFLICT (node) DO UPDATE SET serial = excluded.serial`, w.o.Node, int64(start))
		return err
	}})
}

// writeProfiles is a request that writes profiles as they are on its turn.
func (w *Writer) writeProfiles(ctx context.Context, shoppers []string) *request {
	return &request{ctx: ctx, err: make(chan error, 1), after: func() { w.profiles.CleanProfiles(shoppers) }, do: func(tx *sqlx.Tx) error {
		for _, r := range w.profiles.ProfileRows(shoppers, w.o.Now()) {
			if _, err := tx.Exec(`INSERT INTO profiles (shopper, body, marks) VALUES (?, ?, ?)
				ON CONFLICT (shopper) DO UPDATE SET body = excluded.body, marks = excluded.marks`, r.Shopper, r.Body, encodeCell(nil, r.Marks)); err != nil {
				return err
			}
			if err := w.writeStanding(tx, r); err != nil {
				return err
			}
		}
		return nil
	}}
}

// writeStanding writes how a shopper stands, and what moved. Who is part of another has no standing.
func (w *Writer) writeStanding(tx *sqlx.Tx, r juncture.ProfileRow) error {
	if s := &r.Standing; !s.At.IsZero() {
		k, err := w.whose(tx, r.Shopper)
		if err != nil {
			return err
		}
		if k.rows(r.Shopper) == r.Shopper {
			if _, err := tx.Stmtx(w.stmts.standing).Exec(r.Shopper, ms(s.At), s.Values[juncture.Moment], s.Values[juncture.Meaning],
				s.Values[juncture.Trajectory], s.Values[juncture.Catalogue], s.Window, s.Posture, s.Reason); err != nil {
				return err
			}
		}
	}
	for _, m := range r.Moves {
		if _, err := tx.Stmtx(w.stmts.movement).Exec(ms(m.At), r.Shopper, m.Axis, m.From, m.To, m.Reason); err != nil {
			return err
		}
	}
	return nil
}

// relieveProfiles writes profiles, between two commits, until memory is no longer crowded.
func (w *Writer) relieveProfiles() {
	dirty := w.profiles.DirtyProfiles()
	for i := 0; i < len(dirty) && w.profiles.CrowdedProfiles(); i += profileChunk {
		r := w.writeProfiles(context.Background(), dirty[i:min(i+profileChunk, len(dirty))])
		w.commit([]*request{r})
		if err := <-r.err; err != nil {
			return // requests are refused for the same reason soon enough
		}
	}
}

// lastEvent is the highest serial of a node's events and merges, erased ones that profiles were written after too: a
// serial below the watermark would be no news to a start-up. Before the first it is the number that they count from.
func lastEvent(ctx context.Context, db *sqlx.DB, node uint16) (uint64, error) {
	low := int64(node) << juncture.NodeShift
	high := low | (1<<juncture.NodeShift - 1)
	last := low
	for _, q := range []string{`SELECT coalesce(max(serial), 0) FROM events WHERE serial BETWEEN ? AND ?`,
		`SELECT coalesce(max(serial), 0) FROM merges WHERE serial BETWEEN ? AND ?`,
		`SELECT coalesce(max(serial), 0) FROM profile_watermarks WHERE serial BETWEEN ? AND ?`} {
		var n int64
		if err := db.GetContext(ctx, &n, q, low, high); err != nil {
			return 0, err
		}
		last = max(last, n)
	}
	return uint64(last), nil
}
