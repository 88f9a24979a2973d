package lattice

import "time"

// Bucket is a span of UTC time: its first minute since 1970, times 4, plus its kind. Evidence enters in fine buckets and
// merges at calendar edges as it ages (A.1).
type Bucket int32

const (
	fine  = iota // Calendar.Step long
	daily        // from 00:00 UTC
	week         // from Monday 00:00 UTC
	older        // everything before the weeks
)

const (
	minutesPerDay  = 24 * 60
	minutesPerWeek = 7 * minutesPerDay
	fineDays       = 2        // hours for 2 days,
	dayDays        = 35       // days to 35,
	weekDays       = 26 * 7   // weeks to 26, then one
	monday         = 4 * 1440 // 5 January 1970
)

// Calendar cuts time into buckets. The zero Calendar has buckets of an hour.
type Calendar struct {
	Step time.Duration // of the finest buckets: whole minutes that divide a day; 0: an hour
}

func (c Calendar) step() int64 {
	m := int64(c.Step / time.Minute)
	if m <= 0 || minutesPerDay%m != 0 {
		return 60
	}
	return m
}

// At returns the fine bucket of a time.
func (c Calendar) At(t time.Time) Bucket {
	m := t.Unix() / 60
	return Bucket((m-m%c.step())*4 + fine)
}

func (b Bucket) start() int64 { return int64(b) >> 2 }

// span returns the bucket's first minute and the one after its last.
func (c Calendar) span(b Bucket) (from, to int64) {
	from = b.start()
	switch b & 3 {
	case fine:
		return from, from + c.step()
	case daily:
		return from, from + minutesPerDay
	case week:
		return from, from + minutesPerWeek
	}
	return from, from + minutesPerWeek
}

// merge returns the bucket that b belongs to once it is as old as it is at asOf. Merging again later gives what merging
// once then would.
func (c Calendar) merge(b Bucket, asOf int64) Bucket {
	from := b.start()
	today := asOf - asOf%minutesPerDay
	day := from - from%minutesPerDay
	monday := from - (from-monday)%minutesPerWeek
	if b&3 == older {
		return b
	}
	switch {
	case monday < today-weekDays*minutesPerDay:
		return Bucket(older) // one bucket, named by the epoch; its age is that of weekDays
	case b&3 == week || day < today-dayDays*minutesPerDay:
		return Bucket(monday*4 + week)
	case b&3 == daily || day <= today-fineDays*minutesPerDay:
		return Bucket(day*4 + daily)
	}
	return b
}

// age returns the minutes from the middle of the bucket (of its part before asOf) to asOf, >= 0.
func (c Calendar) age(b Bucket, asOf int64) float64 {
	if b&3 == older {
		return weekDays * minutesPerDay
	}
	from, to := c.span(b)
	return max(0, float64(asOf)-float64(from+min(to, max(asOf, from)))/2)
}
