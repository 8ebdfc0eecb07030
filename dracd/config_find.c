/* What is looked up in a configuration while it is in force. */
#include <string.h>

#include "dracd/config.h"
#include "dracd/login.h"

const struct service_settings *config_service(
	const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->service_count; i++)
		if (strcmp(config->services[i].name, name) == 0)
			return &config->services[i];
	return NULL;
}

const char *config_reporter(const struct config *config, uid_t uid)
{
	for (size_t i = 0; i < config->reporters.count; i++)
		if (config->reporters.items[i].uid == uid)
			return config->reporters.items[i].name;
	return NULL;
}

const struct reporter_settings *config_reporter_limits(
	const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->reporter_count; i++)
		if (strncmp(config->reporter_limits[i].name, name, REPORTER_SIZE - 1) ==
			0)
			return &config->reporter_limits[i];
	return NULL;
}
