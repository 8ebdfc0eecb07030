/*
 * The eight calls of libdrac: one way for all, with the address as their difference.
 *
 * What dracconn() keeps is the server's address and port, no socket: so threads share
 * nothing but a few octets under a lock, and a child of fork() has nothing that is its
 * parent's.
 */
#include "client/dracauth.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

#include "client/drac_server.h"

#define EXPORTED __attribute__((visibility("default")))

struct connection {
	pthread_mutex_t lock;
	bool is_open;
	struct drac_server server;
	unsigned long
		number; /* of dracconn()s: what a dracsend() learns is kept for its own */
};

static struct connection ipv4 = {.lock = PTHREAD_MUTEX_INITIALIZER};
static struct connection ipv6 = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local char last_text[DRAC_TEXT_SIZE];

/* Sets *ret_message and returns result, so that a call can end with it. */
static int say(int result, const char *text, char **ret_message)
{
	snprintf(last_text, sizeof(last_text), "%s", text);
	if (ret_message)
		*ret_message = last_text;
	return result;
}

/* text is for results less than 0. */
static int say_result(enum drac_result result, const char *text, char **ret_message)
{
	switch (result) {
	case DRAC_ADDED:
		return say(result, "Server reports add succeeded", ret_message);
	case DRAC_REFUSED:
		return say(result, "Server reports permission denied", ret_message);
	case DRAC_FAILED:
		return say(result, "Server reports system error", ret_message);
	case DRAC_ODD_ANSWER:
		return say(result, "Server reports unknown error", ret_message);
	case DRAC_NO_SERVER:
	case DRAC_NO_ANSWER:
		break;
	}
	return say(result, text, ret_message);
}

static struct drac_address address_of_ipv4(unsigned long userip)
{
	const struct in_addr octets = {.s_addr = (in_addr_t)userip};
	struct drac_address address = {.family = AF_INET};

	memcpy(address.octets, &octets, sizeof(octets));
	return address;
}

static struct drac_address address_of_ipv6(const unsigned char *userip6)
{
	struct drac_address address = {.family = AF_INET6};

	memcpy(address.octets, userip6, sizeof(address.octets));
	return address;
}

/* ---- the four ways, for both families ---- */

static int authorize(const char *name, const struct drac_address *address, char **ret)
{
	char text[DRAC_TEXT_SIZE] = "";
	struct drac_settings settings;
	struct drac_server server;

	/* the look-up of the name is not of the call's own time, which runs from the
	 * reading of the settings */
	if (drac_server_init(&server, name, text) < 0 ||
		drac_settings_read(&settings, text) < 0)
		return say_result(DRAC_NO_SERVER, text, ret);
	return say_result(drac_server_add(&server, address, &settings, text), text, ret);
}

static int open_connection(
	struct connection *connection, const char *name, int family, char **ret)
{
	char text[DRAC_TEXT_SIZE] = "";
	struct drac_settings settings;
	struct drac_server server;

	if (drac_server_init(&server, name, text) < 0 ||
		drac_settings_read(&settings, text) < 0 ||
		drac_server_find(&server, family, &settings, text) < 0)
		return say_result(DRAC_NO_SERVER, text, ret);
	pthread_mutex_lock(&connection->lock);
	connection->server = server;
	connection->is_open = true;
	connection->number++;
	pthread_mutex_unlock(&connection->lock);
	return say(0, "Connect succeeded", ret);
}

static int send_address(
	struct connection *connection, const struct drac_address *address, char **ret)
{
	char text[DRAC_TEXT_SIZE] = "";
	struct drac_settings settings;
	struct drac_server server;
	enum drac_result result;
	unsigned long number;
	bool is_open;

	pthread_mutex_lock(&connection->lock);
	server = connection->server;
	number = connection->number;
	is_open = connection->is_open;
	pthread_mutex_unlock(&connection->lock);
	if (!is_open)
		return say(DRAC_NO_SERVER, "Not connected", ret);
	if (drac_settings_read(&settings, text) < 0)
		return say_result(DRAC_NO_SERVER, text, ret);
	result = drac_server_add(&server, address, &settings, text);
	pthread_mutex_lock(&connection->lock);
	if (connection->is_open && connection->number == number)
		connection->server = server;
	pthread_mutex_unlock(&connection->lock);
	return say_result(result, text, ret);
}

static int close_connection(struct connection *connection, char **ret)
{
	bool was_open;

	pthread_mutex_lock(&connection->lock);
	was_open = connection->is_open;
	connection->is_open = false;
	pthread_mutex_unlock(&connection->lock);
	if (!was_open)
		return say(DRAC_NO_SERVER, "Not connected", ret);
	return say(0, "Disconnect succeeded", ret);
}

/* ---- the eight calls ---- */

EXPORTED int dracauth(const char *server, unsigned long userip, char **errmsg)
{
	const struct drac_address address = address_of_ipv4(userip);

	return authorize(server, &address, errmsg);
}

EXPORTED int dracconn(const char *server, char **errmsg)
{
	return open_connection(&ipv4, server, AF_INET, errmsg);
}

EXPORTED int dracsend(unsigned long userip, char **errmsg)
{
	const struct drac_address address = address_of_ipv4(userip);

	return send_address(&ipv4, &address, errmsg);
}

EXPORTED int dracdisc(char **errmsg)
{
	return close_connection(&ipv4, errmsg);
}

EXPORTED int dracauth6(const char *server, const unsigned char *userip6, char **errmsg)
{
	const struct drac_address address = address_of_ipv6(userip6);

	return authorize(server, &address, errmsg);
}

EXPORTED int dracconn6(const char *server, char **errmsg)
{
	return open_connection(&ipv6, server, AF_INET6, errmsg);
}

EXPORTED int dracsend6(const unsigned char *userip6, char **errmsg)
{
	const struct drac_address address = address_of_ipv6(userip6);

	return send_address(&ipv6, &address, errmsg);
}

EXPORTED int dracdisc6(char **errmsg)
{
	return close_connection(&ipv6, errmsg);
}
