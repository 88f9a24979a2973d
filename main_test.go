package juncture_test

import (
	"testing"

	"github.com/juncture/juncture/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m, 300) }
