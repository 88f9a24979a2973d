package traffic

import "strings"

// agents are the parts of a User-Agent by which programs name themselves, lower case, the more telling first.
func agents() []string {
	return []string{
		// crawlers and previews by name
		"googlebot", "bingbot", "bingpreview", "applebot", "yandexbot", "yandeximages", "baiduspider", "duckduckbot", "slurp", "petalbot", "amazonbot",
		"gptbot", "chatgpt-user", "oai-searchbot", "claudebot", "claude-user", "perplexitybot", "perplexity-user", "bytespider", "ccbot", "semrushbot", "ahrefsbot",
		"facebookexternalhit", "facebookcatalog", "meta-externalagent", "twitterbot", "linkedinbot", "slackbot", "discordbot", "telegrambot", "whatsapp/",
		"skypeuripreview", "pinterestbot", "mediapartners-google", "adsbot-google", "google-inspectiontool", "googleother", "storebot-google", "apis-google",
		"google-read-aloud", "feedfetcher-google", "ia_archiver",
		// monitors and measurements
		"pingdom", "uptimerobot", "statuscake", "site24x7", "newrelicpinger", "datadogsynthetics", "gtmetrix", "chrome-lighthouse", "pagespeed",
		// browsers that a program drives
		"headlesschrome", "phantomjs", "puppeteer", "playwright", "selenium", "cypress", "prerender",
		// what says it of itself
		"spider", "crawl", "scraper", "preview", "headless", "monitor", "validator", "fetcher",
	}
}

// Agent reports whether a User-Agent says that it is a program, and by which part of it. An empty one says nothing: apps
// and servers that call for a shopper often send none, so it is no program; nor is the name of an HTTP library, which apps and
// servers send too. "bot" counts at the end of a word alone, so
// that Cubot telephones, whose name ends so too, are told apart by name.
func Agent(userAgent string) (part string, program bool) {
	if len(userAgent) > 1024 {
		userAgent = userAgent[:1024]
	}
	s := strings.ToLower(userAgent)
	for _, a := range agents() {
		if strings.Contains(s, a) {
			return a, true
		}
	}
	for rest := s; ; {
		i := strings.Index(rest, "bot")
		if i < 0 {
			return "", false
		}
		before, after := rest[:i], rest[i+len("bot"):]
		if (after == "" || !letter(after[0])) && !strings.HasSuffix(before, "cu") {
			return "bot", true
		}
		rest = after
	}
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' }
