package console

// WhatIf is declared with its page.
type WhatIf interface{}
