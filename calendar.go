package juncture

import (
	"math"
	"time"
)

// Bucket is a span of UTC time: its first minute since 1970, times 4, plus its kind. Evidence enters in fine buckets and
// merges at calendar edges as it ages (A.1).
type Bucket int32

const (
	fine  = iota // Calendar.Step long
	daily        // from 00:00 UTC
	week         // from Monday 00:00 UTC
	older        // everything before the weeks
)

// BucketOlder is the one bucket of everything before the weeks.
const BucketOlder Bucket = older

// Old reports whether the bucket is BucketOlder.
func (b Bucket) Old() bool { return b&3 == older }

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
	m := min(max(t.Unix()/60, 0), 1<<29-1) // 1970 to 2990
	return Bucket((m-m%c.step())*4 + fine)
}

func (b Bucket) start() int64 { return int64(b) >> 2 }

// Span returns the bucket's first minute and the one after its last.
func (c Calendar) Span(b Bucket) (from, to int64) {
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

// Merge returns the bucket that b belongs to once it is as old as it is at asOf. Merging again later gives what merging
// once then would.
func (c Calendar) Merge(b Bucket, asOf int64) Bucket { // asOf in minutes since 1970
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

// Age returns the minutes from the middle of the bucket (of its part before asOf) to asOf, >= 0.
func (c Calendar) Age(b Bucket, asOf int64) float64 {
	if b&3 == older {
		return weekDays * minutesPerDay
	}
	from, to := c.Span(b)
	return max(0, float64(asOf)-float64(from+min(to, max(asOf, from)))/2)
}

// DelayClasses is how many classes of delays there are. They double every second one: class 0 is under a minute, class
// c >= 1 ends at 2^(c/2) minutes. The last, 2^24 minutes, is 32 years.
const DelayClasses = 49

// DelayClass returns the class of a delay.
func DelayClass(d time.Duration) int {
	minutes := d.Minutes()
	if !(minutes >= 1) {
		return 0
	}
	return int(min(DelayClasses-1, 1+math.Floor(2*math.Log2(minutes))))
}
