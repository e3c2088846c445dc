/* SPDX-License-Identifier: MIT */
/*
 * create_task - two questions asked at the same time, in the time of the slower one.
 *
 * Each task writes its answer where its argument points; the join that collects its status
 * also makes the answer safe to read. The sleeps stand for two services.
 */
#include <stdio.h>

#include <weft.h>

struct inventory {
	const char *id;
	int stock;
	const char *status;
};

struct shipping {
	const char *id;
	int cost;
	int days;
};

static int ask_inventory(void *arg)
{
	struct inventory *inventory = arg;

	int status = weft_sleep(WEFT_SEC(2));
	inventory->stock = 15;
	inventory->status = "Available";
	return status;
}

static int ask_shipping(void *arg)
{
	struct shipping *shipping = arg;

	int status = weft_sleep(WEFT_SEC(1));
	shipping->cost = 500;
	shipping->days = 2;
	return status;
}

static int order_page(void *arg)
{
	const char *item = arg;
	struct inventory inventory = { .id = item };
	struct shipping shipping = { .id = item };

	struct weft_task *stock = weft_create_task(ask_inventory, &inventory);
	struct weft_task *parcel = weft_create_task(ask_shipping, &shipping);

	int stock_status = weft_join(stock);
	int parcel_status = weft_join(parcel);
	if (stock_status < 0)
		return stock_status;
	if (parcel_status < 0)
		return parcel_status;

	printf("Inventory: {'id': '%s', 'stock': %d, 'status': '%s'}\n", inventory.id,
		inventory.stock, inventory.status);
	printf("Shipping: {'id': '%s', 'cost': %d, 'days': %d}\n", shipping.id,
		shipping.cost, shipping.days);
	return 0;
}

int main(void)
{
	return weft_run(order_page, "item_9876", NULL) < 0;
}
