package intake

import (
	"strings"

	"github.com/juncture/juncture"
)

// KindOf returns what an event's name means: Segment's ecommerce names in both versions of its vocabulary, GA4's, and
// those that Shopify's pixels, Klaviyo and Meta send. Case, spaces, dashes and underscores do not count. What nobody
// knows is EventOther, unless it looks at reviews, sizes or delivery.
//
// Some names are known and are yet no act of the shopper: a mail delivered, a parcel sent. They are EventIdentified, the
// kind without behaviour, so that mail does not keep a dormant shopper awake. An updated cart without lines becomes
// EventCartEmptied later, when its lines are read.
func KindOf(name string) juncture.EventKind {
	p := plain(name)
	switch p {
	case "pageviewed", "pageview", "viewedpage", "loadedapage", "screenview", "screenviewed", "page", "screen":
		return juncture.EventPageViewed
	case "articleviewed", "viewedarticle", "articleview", "blogpostviewed", "guideviewed", "lookbookviewed", "articleread", "articleopened":
		return juncture.EventArticleViewed
	case "productssearched", "searchedproducts", "search", "searched", "viewsearchresults", "searchsubmitted", "productsearched",
		"searchperformed", "searchedsite", "submittedsearch":
		return juncture.EventProductsSearched
	case "productlistviewed", "viewedproductlist", "viewedproductcategory", "productlistfiltered", "filteredproductlist", "viewitemlist",
		"viewcategory", "categoryviewed", "viewedcategory", "collectionviewed", "viewedcollection", "productcategoryviewed":
		return juncture.EventListViewed
	case "productclicked", "clickedproduct", "selectitem", "productclick":
		return juncture.EventProductClicked
	case "productviewed", "viewedproduct", "viewitem", "viewcontent", "productview", "viewproduct", "productdetailviewed", "productdetailsviewed":
		return juncture.EventProductViewed
	case "productaddedtowishlist", "addtowishlist", "addedtowishlist", "addedproducttowishlist", "wishlistproductadded", "productwishlisted", "productfavorited":
		return juncture.EventWishlisted
	case "productadded", "addedproduct", "addtocart", "addedtocart", "productaddedtocart", "wishlistproductaddedtocart", "addtobag", "productaddedtobag":
		return juncture.EventProductAdded
	case "productremoved", "removedproduct", "removefromcart", "removedfromcart", "productremovedfromcart", "productremovedfrombag":
		return juncture.EventProductRemoved
	case "cartviewed", "viewedcart", "viewcart", "cartupdated", "updatecart", "updatedcart", "bagviewed":
		return juncture.EventCartViewed
	case "cartemptied", "emptycart", "cartcleared", "clearcart", "emptiedcart", "clearedcart":
		return juncture.EventCartEmptied
	case "checkoutstarted", "startedcheckout", "begincheckout", "initiatecheckout", "checkoutbegan":
		return juncture.EventCheckoutStarted
	case "checkoutstepviewed", "viewedcheckoutstep", "checkoutstepcompleted", "completedcheckoutstep", "checkoutprogress", "setcheckoutoption",
		"paymentinfoentered", "enteredpaymentinfo", "addpaymentinfo", "paymentinfosubmitted", "addshippinginfo", "shippinginfoentered",
		"shippinginfosubmitted", "checkoutcontactinfosubmitted", "checkoutaddressinfosubmitted", "checkoutshippinginfosubmitted":
		return juncture.EventCheckoutStep
	case "ordercompleted", "completedorder", "purchase", "ecommercepurchase", "checkoutcompleted", "orderplaced", "placedorder", "ordercreated":
		return juncture.EventOrderCompleted
	case "ordercancelled", "ordercanceled", "cancelledorder", "canceledorder":
		return juncture.EventOrderCancelled
	case "orderrefunded", "refundedorder", "refund", "purchaserefund", "orderpartiallyrefunded", "ecommercerefund":
		return juncture.EventOrderRefunded
	case "emailopened", "emailopen", "openedemail", "emaillinkclicked", "emailclicked", "emailclick", "clickedemail",
		"smsclicked", "smslinkclicked", "clickedsms", "smsreplied", "receivedsms",
		"pushnotificationtapped", "pushnotificationopened", "pushnotificationclicked", "pushopened", "pushclicked", "pushtapped",
		"notificationopen", "notificationopened", "openedpush", "clickedpush", "messageopened", "messageclicked", "messagelinkclicked",
		"inappmessageclicked", "inappmessageopened", "campaignclicked":
		return juncture.EventCampaignEngaged
	case "emaildelivered", "emailsent", "emailbounced", "emaildropped", "emailmarkedasspam", "receivedemail", "bouncedemail",
		"smssent", "smsdelivered", "smsfailed", "pushsent", "pushdelivered", "pushbounced", "pushnotificationsent",
		"pushnotificationreceived", "pushnotificationdelivered", "pushnotificationbounced", "notificationreceive", "messagesent",
		"messagedelivered", "messagebounced", "messagedropped", "ordershipped", "orderfulfilled", "fulfilledorder", "orderdelivered",
		"experimentviewed", "experimentviewedserver":
		return juncture.EventIdentified
	case "productreviewed", "reviewedproduct", "reviewsubmitted", "submittedreview", "reviewed", "productreviewsubmitted", "reviewwritten":
		return juncture.EventReviewed
	case "promotionviewed", "viewedpromotion", "viewpromotion", "promotionclicked", "clickedpromotion", "selectpromotion",
		"couponentered", "couponapplied", "coupondenied", "couponremoved", "productshared", "cartshared", "sharedproduct", "sharedcart",
		"productremovedfromwishlist", "orderupdated", "updatedorder":
		return juncture.EventOther // known, and of no kind of their own
	}
	if looksAtDetail(p) {
		return juncture.EventProductDetail
	}
	return juncture.EventOther
}

// looksAtDetail reports a look at what one wants to know before buying: "Size Guide Viewed", "reviews_expanded".
func looksAtDetail(p string) bool {
	for _, not := range []string{"order", "cart", "checkout", "request"} { // "Order Review Viewed"
		if strings.Contains(p, not) {
			return false
		}
	}
	rest := strings.ReplaceAll(p, "review", "") // it holds a verb by chance
	for _, verb := range []string{"view", "open", "read", "expand", "click", "check", "select", "show", "tap"} {
		if strings.Contains(rest, verb) {
			return detailTopic(p)
		}
	}
	return false
}

// detailTopic reports what hangs on a product page beside the product.
func detailTopic(p string) bool {
	p = strings.ReplaceAll(p, "preview", "")
	for _, topic := range []string{"sizeguide", "sizechart", "sizing", "sizefinder", "fitguide", "fitfinder", "review",
		"deliveryinfo", "deliverydetail", "deliveryoption", "deliverypolicy", "shippinginfo", "shippingdetail", "shippingoption", "shippingpolicy",
		"returnspolicy", "returnpolicy", "returnsinfo", "returninfo", "deliveryreturns", "shippingreturns", "deliveryandreturns", "shippingandreturns",
		"careinstruction", "ingredient", "productspec", "productquestion", "productimagezoom", "techspec"} {
		if strings.Contains(p, topic) {
			return true
		}
	}
	return p == "delivery" || p == "shipping" || p == "returns" || p == "productdetails"
}

// pageKind returns what a page call is: a look at reviews, sizes or delivery; editorial, by what the page calls itself
// (category, page type, name) or by the first parts of its path, such as Shopify's /blogs; else a page.
func pageKind(labels []string, path string) juncture.EventKind {
	for _, l := range labels {
		if detailTopic(plain(l)) {
			return juncture.EventProductDetail
		}
	}
	for _, l := range labels {
		if editorial(plain(l)) {
			return juncture.EventArticleViewed
		}
	}
	if at := strings.Index(path, "://"); at >= 0 { // an address: its path
		path = path[at+3:]
		if _, rest, ok := strings.Cut(path, "/"); ok {
			path = rest
		} else {
			path = ""
		}
	}
	path, _, _ = strings.Cut(path, "?")
	parts := strings.SplitN(strings.Trim(path, "/"), "/", 3)
	if editorial(plain(parts[0])) || len(parts) > 1 && len(parts[0]) <= 5 && editorial(plain(parts[1])) { // /en-gb/blog
		return juncture.EventArticleViewed
	}
	return juncture.EventPageViewed
}

// editorial reports a word for what is read and not bought.
func editorial(p string) bool {
	switch p {
	case "article", "articles", "blog", "blogs", "blogpost", "post", "guide", "guides", "buyingguide", "styleguide", "howto", "lookbook", "lookbooks",
		"editorial", "editorials", "magazine", "journal", "story", "stories", "inspiration", "recipe", "recipes":
		return true
	}
	return false
}
