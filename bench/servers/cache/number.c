/* SPDX-License-Identifier: MIT */
/*
 * number - digit by digit, against a limit that is checked before each step.
 */
#include "number.h"

bool number_parse(struct text text, int64_t *value)
{
	bool minus = text.len > 1 && text.at[0] == '-';
	uint64_t limit = (uint64_t)INT64_MAX + minus, sum = 0;
	size_t i = minus;

	if (text.len == 0 || text.len > NUMBER_MAX)
		return false;
	if (text.at[i] == '0' && (minus || text.len > 1))
		return false;
	for (; i < text.len; i++) {
		unsigned digit = (unsigned)(unsigned char)text.at[i] - '0';

		if (digit > 9 || sum > (limit - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	*value = (int64_t)(minus ? 0 - sum : sum);
	return true;
}

size_t number_format(char *at, int64_t value)
{
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	char digits[NUMBER_MAX];
	size_t i = sizeof(digits), len;

	do
		digits[--i] = (char)('0' + rest % 10);
	while ((rest /= 10));
	if (value < 0)
		digits[--i] = '-';
	len = sizeof(digits) - i;
	memcpy(at, digits + i, len);
	return len;
}
