// SPDX-License-Identifier: GPL-2.0-only
#include "parse.h"
#include "verb.h"
#include "volume.h"

#include <stdio.h>

/* Does the pool have a backend for each leg? */
static int check_backends(const struct live_pool *pool, const struct qbd_policy *policy,
			  const char *tag)
{
	struct live_backend *backends;
	unsigned int nr, usable = 0, i;
	int err;

	err = live_backends(pool, &backends, &nr);
	if (err) {
		complain("%s: backends cannot be listed: %s", pool->name, strerror(-err));
		return QBD_FAILED;
	}
	for (i = 0; i < nr; i++)
		usable += qbd_tag_match(backends[i].tags, tag);
	free(backends);
	if (usable >= qbd_policy_legs(policy))
		return QBD_FINE;
	complain("%s: has %u backends%s%s, and the volume needs %u", pool->name, usable,
		 *tag ? " with the tag " : "", tag, qbd_policy_legs(policy));
	return QBD_FAILED;
}

static void say_error(const struct live_pool *pool, const char *name, int err)
{
	struct live_volume *volumes;
	unsigned int nr, i;

	if (!live_volumes(pool, &volumes, &nr)) {
		for (i = 0; i < nr; i++) {
			if (strcmp(volumes[i].name, name))
				continue;
			complain("%s/%s: exists already", pool->name, name);
			break;
		}
		if (i < nr) {
			free(volumes);
			return;
		}
	}
	free(volumes);
	complain("%s/%s: cannot be created: %s; the kernel's log says why", pool->name, name,
		 strerror(-err));
}

static int make(const struct live_pool *pool, const char *name, u64 bytes,
		const struct qbd_policy *policy, const char *tag, bool start)
{
	struct live_volume volume;
	char text[16];
	int err, ret;

	ret = check_backends(pool, policy, tag);
	if (ret)
		return ret;
	format_policy(policy, text);
	err = live_message(pool, NULL, "create_volume %s %llu %s block_size=%u%s%s", name,
			   (unsigned long long)bytes / 512, text, 1u << policy->block_shift,
			   *tag ? " tag=" : "", tag);
	if (err) {
		say_error(pool, name, err);
		return QBD_FAILED;
	}
	if (!start)
		return QBD_FINE;
	if (volume_find(pool, name, &volume) || volume_start(pool, &volume, false))
		return QBD_FAILED;
	return QBD_FINE;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = { { "size", required_argument, NULL, 's' },
						 { "replicas", required_argument, NULL, 'r' },
						 { "ec", required_argument, NULL, 'e' },
						 { "block-size", required_argument, NULL, 'b' },
						 { "tag", required_argument, NULL, 't' },
						 { "no-start", no_argument, NULL, 'n' },
						 {} };
	char pool_name[QBD_NAME_SIZE], name[QBD_NAME_SIZE], tag[QBD_TAGS_SIZE] = "";
	struct qbd_policy policy = { .block_shift = 12 };
	struct live_pool pool;
	bool start = true;
	u64 bytes = 0, block;
	int c, ret;

	while ((c = next_option(argc, argv, "s:", options)) != -1) {
		switch (c) {
		case 's':
			if (!parse_size(optarg, &bytes) || !bytes || bytes % QBD_MIN_BLOCK ||
			    bytes > QBD_MAX_VOLUME)
				return wrong_value("size", "a multiple of 4k and at most 16T",
						   optarg);
			break;
		case 'r':
		case 'e':
			if (policy.kind)
				return usage("give one of --replicas and --ec");
			if (c == 'r' && !parse_replicas(optarg, &policy))
				return wrong_value("replicas", "1 to 8", optarg);
			if (c == 'e' && !parse_ec(optarg, &policy))
				return wrong_value("ec", "K+M with K 2 to 16 and M 1 to 4", optarg);
			break;
		case 'b':
			if (!parse_size(optarg, &block) || block < QBD_MIN_BLOCK ||
			    block > QBD_MAX_BLOCK || !is_power_of_2(block))
				return wrong_value("block-size", "a power of two from 4k to 64k",
						   optarg);
			policy.block_shift = __builtin_ctzll(block);
			break;
		case 't':
			if (!*optarg || strchr(optarg, ',') || !parse_tags(optarg, tag))
				return usage("\"%s\" is not a tag", optarg);
			break;
		case 'n':
			start = false;
			break;
		}
	}
	if (argc - optind != 1)
		return usage("volume create: name one POOL/VOLUME");
	ret = split_volume(argv[optind], pool_name, name);
	if (ret)
		return ret;
	/* A number in a table is a volume's number. */
	if (strspn(name, "0123456789") == strlen(name))
		return usage("\"%s\": a volume's name must not be a number", name);
	if (!bytes)
		return usage("volume create: --size is missing");
	if (!policy.kind)
		return usage("volume create: --replicas or --ec is missing");
	ret = find_pool(pool_name, &pool);
	return ret ? ret : make(&pool, name, bytes, &policy, tag, start);
}

const struct verb verb_volume_create = {
	.name = "volume create",
	.synopsis =
		"POOL/VOLUME --size SIZE --replicas R|--ec K+M [--block-size SIZE]\n              [--tag TAG] [--no-start]",
	.help = "Make a volume and start it.",
	.run = run,
};
