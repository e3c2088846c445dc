/* SPDX-License-Identifier: MIT */
/*
 * http_date - the calendar by arithmetic (years that begin in March, so that a leap day is
 * the last day), and the three forms as patterns that one scanner reads.
 */
#include "http_date.h"

#include <string.h>

enum { DAY = 24 * 60 * 60, DAYS_OF_400_YEARS = 146097, DAYS_TO_1970 = 719468 };

static const char days[7][10] = {
	"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
	"Sep", "Oct", "Nov", "Dec"};

struct date {
	int64_t year;
	int month, day; /* from 1 */
	int hour, minute, second;
};

/* Days from 1970-01-01 to a day. */
static int64_t days_to(int64_t year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * DAYS_OF_400_YEARS + of_era * 365 + of_era / 4 - of_era / 100 +
	       of_year - DAYS_TO_1970;
}

/* The other way. */
static void set_day(struct date *date, int64_t since_1970)
{
	int64_t d = since_1970 + DAYS_TO_1970;
	int64_t era = (d >= 0 ? d : d - (DAYS_OF_400_YEARS - 1)) / DAYS_OF_400_YEARS;
	int64_t of_era = d - era * DAYS_OF_400_YEARS;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int of_year = (int)(of_era - (365 * year + year / 4 - year / 100));
	int month = (5 * of_year + 2) / 153;

	date->day = of_year - (153 * month + 2) / 5 + 1;
	date->month = month < 10 ? month + 3 : month - 9;
	date->year = year + era * 400 + (date->month <= 2);
}

static void put_number(char *out, int digits, int64_t value)
{
	while (digits--) {
		out[digits] = (char)('0' + value % 10);
		value /= 10;
	}
}

void http_date_format(int64_t seconds, char *out)
{
	int64_t day = (seconds >= 0 ? seconds : seconds - (DAY - 1)) / DAY;
	int64_t rest = seconds - day * DAY;
	struct date date;

	set_day(&date, day);
	memcpy(out, "Sun, 06 Nov 1994 08:49:37 GMT", HTTP_DATE_LEN);
	memcpy(out, days[((day + 4) % 7 + 7) % 7], 3); /* 1970 began on a Thursday */
	put_number(out + 5, 2, date.day);
	memcpy(out + 8, months[date.month - 1], 3);
	put_number(out + 12, 4, date.year);
	put_number(out + 17, 2, rest / 3600);
	put_number(out + 20, 2, rest / 60 % 60);
	put_number(out + 23, 2, rest % 60);
}

struct scan {
	const char *at, *end;
};

static bool scan_text(struct scan *s, const char *text, size_t len)
{
	if ((size_t)(s->end - s->at) < len || memcmp(s->at, text, len) != 0)
		return false;
	s->at += len;
	return true;
}

static bool scan_number(struct scan *s, int digits, int64_t *value)
{
	*value = 0;
	for (; digits; digits--, s->at++) {
		if (s->at == s->end || *s->at < '0' || *s->at > '9')
			return false;
		*value = *value * 10 + (*s->at - '0');
	}
	return true;
}

static bool scan_month(struct scan *s, int *month)
{
	for (*month = 1; *month <= 12; ++*month)
		if (scan_text(s, months[*month - 1], 3))
			return true;
	return false;
}

/* The name of a day; that it is the right one is nobody's concern. */
static bool scan_day_name(struct scan *s, bool whole)
{
	for (int i = 0; i < 7; i++)
		if (scan_text(s, days[i], whole ? strlen(days[i]) : 3))
			return true;
	return false;
}

/* One letter of a pattern; what is no letter of these stands for itself. */
static bool scan_one(struct scan *s, char letter, struct date *date)
{
	int64_t n = 0;
	bool ok;

	switch (letter) {
	case 'a':
	case 'A':
		return scan_day_name(s, letter == 'A');
	case 'b':
		return scan_month(s, &date->month);
	case 'Y':
		return scan_number(s, 4, &date->year);
	case 'y':
		return scan_number(s, 2, &date->year);
	case 'e': /* a blank may stand for the first digit */
		ok = scan_number(s, scan_text(s, " ", 1) ? 1 : 2, &n);
		date->day = (int)n;
		return ok;
	case 'd':
		ok = scan_number(s, 2, &n);
		date->day = (int)n;
		return ok;
	case 'H':
		ok = scan_number(s, 2, &n);
		date->hour = (int)n;
		return ok;
	case 'm':
		ok = scan_number(s, 2, &n);
		date->minute = (int)n;
		return ok;
	case 's':
		ok = scan_number(s, 2, &n);
		date->second = (int)n;
		return ok;
	default:
		return scan_text(s, &letter, 1);
	}
}

static bool scan_all(const char *text, size_t n, const char *pattern, struct date *date)
{
	struct scan s = {text, text + n};

	*date = (struct date){0};
	while (*pattern)
		if (!scan_one(&s, *pattern++, date))
			return false;
	return s.at == s.end;
}

static bool is_date(const struct date *date)
{
	static const int lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap =
		date->year % 4 == 0 && (date->year % 100 != 0 || date->year % 400 == 0);

	return date->day >= 1 &&
	       date->day <= lengths[date->month - 1] + (leap && date->month == 2) &&
	       date->hour < 24 && date->minute < 60 && date->second <= 60;
}

/* The year that ends in these two digits and is at most 50 years ahead. */
static int64_t whole_year(int64_t two_digits, int64_t now)
{
	struct date today;
	int64_t year;

	set_day(&today, now / DAY);
	year = today.year - today.year % 100 + two_digits;
	return year > today.year + 50 ? year - 100 : year;
}

bool http_date_parse(const char *text, size_t n, int64_t now, int64_t *seconds)
{
	struct date date;

	if (scan_all(text, n, "A, d-b-y H:m:s GMT", &date))
		date.year = whole_year(date.year, now);
	else if (!scan_all(text, n, "a, d b Y H:m:s GMT", &date) &&
		 !scan_all(text, n, "a b e H:m:s Y", &date))
		return false;
	if (!is_date(&date))
		return false;
	*seconds = days_to(date.year, date.month, date.day) * DAY + date.hour * 3600 +
		   date.minute * 60 + date.second;
	return true;
}
