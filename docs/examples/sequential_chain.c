/* SPDX-License-Identifier: MIT */
/*
 * sequential_chain - three steps, each needing what the one before it found out.
 *
 * What asyncio writes as `data = await download(user)` is a plain call in weft: a function
 * that waits needs no other colour. The sleeps stand for a network and a database.
 */
#include <stdio.h>

#include <weft.h>

struct data {
	char text[64];
};

struct analysis {
	char text[96];
};

static int download(const char *user, struct data *data)
{
	printf("1. downloading the data of %s\n", user);
	int status = weft_sleep(WEFT_MS(100));
	snprintf(data->text, sizeof(data->text), "data of %s", user);
	return status;
}

static int analyze(const struct data *data, struct analysis *analysis)
{
	printf("2. analyzing: %s\n", data->text);
	int status = weft_sleep(WEFT_MS(100));
	snprintf(analysis->text, sizeof(analysis->text), "analysis of the %s", data->text);
	return status;
}

static int report(const struct analysis *analysis)
{
	printf("3. reporting: %s\n", analysis->text);
	return weft_sleep(WEFT_MS(100));
}

static int chain(void *arg)
{
	const char *user = arg;
	struct data data;
	struct analysis analysis;
	int status;

	status = download(user, &data);
	if (status < 0)
		return status;
	status = analyze(&data, &analysis);
	if (status < 0)
		return status;
	status = report(&analysis);
	if (status < 0)
		return status;
	printf("report for %s is ready\n", user);
	return 0;
}

int main(void)
{
	return weft_run(chain, "user_12345", NULL) < 0;
}
