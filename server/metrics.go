package server

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the HTTP side. Labels are routes and statuses: both are bounded.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec

	events, quarantined prometheus.Counter

	mu     sync.RWMutex
	routes map[routeStatus]child // children are kept: looking one up by labels costs more than counting
}

type routeStatus struct {
	route  string
	status int
}

type child struct {
	requests prometheus.Counter
	seconds  prometheus.Observer
}

func newMetrics(r *prometheus.Registry) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "juncture_http_requests_total",
			Help: "HTTP requests answered."}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "juncture_http_request_seconds",
			Help: "Time to answer an HTTP request.", Buckets: prometheus.ExponentialBuckets(0.00025, 2, 16)}, []string{"route"}),
		routes: map[routeStatus]child{},
	}
	m.events = prometheus.NewCounter(prometheus.CounterOpts{Name: "juncture_events_total", Help: "Events taken, repeats included."})
	m.quarantined = prometheus.NewCounter(prometheus.CounterOpts{Name: "juncture_events_quarantined_total", Help: "Events that could not be taken."})
	r.MustRegister(m.requests, m.seconds, m.events, m.quarantined)
	return m
}

func (m *metrics) observe(route string, status int, took time.Duration) {
	if route == "" {
		route = "other"
	}
	k := routeStatus{route, status}
	m.mu.RLock()
	c, ok := m.routes[k]
	m.mu.RUnlock()
	if !ok {
		c = child{m.requests.WithLabelValues(route, strconv.Itoa(status)), m.seconds.WithLabelValues(route)}
		m.mu.Lock()
		m.routes[k] = c
		m.mu.Unlock()
	}
	c.requests.Inc()
	c.seconds.Observe(took.Seconds())
}
