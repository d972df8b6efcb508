// SPDX-License-Identifier: GPL-2.0-only
/* Reads configuration texts: format:key=value,key=value. */
#include <stdarg.h>
#include <stdio.h>

#include "ksrc.h"

int ksrc_refuse(struct ksrc_config *config, int error, const char *format, ...)
{
	va_list arguments;

	if (config->message && config->message_bytes) {
		va_start(arguments, format);
		vsnprintf(config->message, config->message_bytes, format, arguments);
		va_end(arguments);
	}
	return error;
}

int ksrc_config_parse(struct ksrc_config *config, const char *text, char *message, size_t message_bytes)
{
	char *rest, *pair, *equals;

	memset(config, 0, sizeof(*config));
	config->message = message;
	config->message_bytes = message_bytes;
	if (strlen(text) >= sizeof(config->text))
		return ksrc_refuse(config, -EINVAL, "the configuration is too long");
	strcpy(config->text, text);
	config->format = config->text;
	rest = strchr(config->text, ':');
	if (!rest)
		return 0;
	*rest++ = 0;
	while (rest && *rest) {
		pair = rest;
		rest = strchr(pair, ',');
		if (rest)
			*rest++ = 0;
		equals = strchr(pair, '=');
		if (!equals || config->count == KSRC_MAX_KEYS)
			return ksrc_refuse(config, -EINVAL, "expected key=value, found '%s'", pair);
		*equals = 0;
		config->pairs[config->count].key = pair;
		config->pairs[config->count++].value = equals + 1;
	}
	config->permissive = !strcmp(ksrc_config_text(config, "build", "linux"), "permissive");
	return 0;
}

const char *ksrc_config_text(struct ksrc_config *config, const char *key, const char *fallback)
{
	for (int index = 0; index < config->count; index++) {
		if (!strcmp(config->pairs[index].key, key)) {
			config->pairs[index].used = true;
			return config->pairs[index].value;
		}
	}
	return fallback;
}

/* What was not understood stays unused, and so ksrc_config_check() finds it. */
static void reject(struct ksrc_config *config, const char *key)
{
	for (int index = 0; index < config->count; index++)
		if (!strcmp(config->pairs[index].key, key))
			config->pairs[index].used = false;
}

u64 ksrc_config_number(struct ksrc_config *config, const char *key, u64 fallback)
{
	const char *text = ksrc_config_text(config, key, NULL);
	char *end;
	u64 number;

	if (!text)
		return fallback;
	number = strtoull(text, &end, 0);
	/* Sizes: 4k, 2M, 1G. */
	switch (*end) {
	case 'G': case 'g': number <<= 10; fallthrough;
	case 'M': case 'm': number <<= 10; fallthrough;
	case 'K': case 'k': number <<= 10; end++;
	}
	if (end == text || *end)
		reject(config, key);
	return number;
}

u64 ksrc_config_words(struct ksrc_config *config, const char *key, const struct ksrc_word *words, u64 fallback)
{
	const char *text = ksrc_config_text(config, key, NULL);
	u64 bits = 0;
	size_t length;

	if (!text)
		return fallback;
	if (!strcmp(text, "none"))
		return 0;
	for (; *text; text += length + (text[length] == '+')) {
		const struct ksrc_word *word = words;

		length = strcspn(text, "+");
		while (word->name && (strlen(word->name) != length || strncmp(word->name, text, length)))
			word++;
		if (!word->name) {
			reject(config, key);
			return 0;
		}
		bits |= word->bit;
	}
	return bits;
}

void ksrc_config_ignore(struct ksrc_config *config, const char *key) { ksrc_config_text(config, key, NULL); }

int ksrc_config_check(struct ksrc_config *config)
{
	for (int index = 0; index < config->count; index++)
		if (!config->pairs[index].used)
			return ksrc_refuse(config, -EINVAL, "%s: '%s=%s' means nothing here", config->format,
				config->pairs[index].key, config->pairs[index].value);
	return 0;
}
