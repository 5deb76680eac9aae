// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"
#include "model.h"

static void *need(void *memory)
{
	if (!memory)
		fail("no memory");
	return memory;
}

void model_init(struct model *m, u32 id, u32 nr_sectors, u32 block_sectors, u32 row_sectors)
{
	memset(m, 0, sizeof(*m));
	m->id = id;
	m->nr_sectors = nr_sectors;
	m->block_sectors = block_sectors;
	m->row_sectors = row_sectors;
	m->values = need(calloc(nr_sectors, sizeof(u32)));
	m->durable = need(calloc(nr_sectors, sizeof(u32)));
	m->may_be_lost = need(calloc(nr_sectors / row_sectors + 1, sizeof(bool)));
	m->next_value = 2;
}

void model_exit(struct model *m)
{
	free(m->values);
	free(m->durable);
	free(m->may_be_lost);
	free(m->log);
	free(m->events);
	free(m->steps);
}

static void keep_step(struct model *m, struct model_step step)
{
	if (!m->clock)
		return;
	if (m->nr_steps == m->steps_room) {
		m->steps_room = m->steps_room ? 2 * m->steps_room : 1024;
		m->steps = need(realloc(m->steps, m->steps_room * sizeof(*m->steps)));
	}
	step.clock = *m->clock;
	m->steps[m->nr_steps++] = step;
}

void model_note(struct model *m, const char *what, u32 first, u32 nr, u32 value)
{
	if (m->nr_events == m->events_room) {
		m->events_room = m->events_room ? 2 * m->events_room : 1024;
		m->events = need(realloc(m->events, m->events_room * sizeof(*m->events)));
	}
	m->events[m->nr_events++] = (struct event){ what, first, nr, value, ++m->tick };
}

void model_tell(const struct model *m, u32 sector)
{
	u32 i, nr = 0, from = 0;

	/* From the third last write to it on. */
	for (i = m->nr_events; i-- && nr < 6;) {
		nr += sector - m->events[i].first < m->events[i].nr;
		from = i;
	}
	for (i = from; i < m->nr_events; i++) {
		const struct event *e = &m->events[i];

		if (!e->nr || sector - e->first < e->nr)
			printf("%8llu %s %u +%u value %u\n", (unsigned long long)e->tick, e->what,
			       e->first, e->nr, e->value);
	}
}

void model_content(const struct model *m, u32 sector, u32 value, void *data)
{
	u64 *word = data, x;
	int i;

	if (!value || (value & VALUE_ZERO)) {
		memset(data, 0, SECTOR_BYTES);
		return;
	}
	word[0] = sector;
	word[1] = (u64)m->id << 32 | value;
	x = random_mix(word[0] * 0x9e3779b97f4a7c15ull ^ word[1]) | 1;
	for (i = 2; i < SECTOR_BYTES / 8; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		word[i] = x;
	}
}

const char *model_describe(const void *data, char *text, size_t size)
{
	const u64 *word = data;
	u8 want[SECTOR_BYTES];
	struct model other;
	int i;

	for (i = 0; i < SECTOR_BYTES / 8 && !word[i]; i++)
		;
	if (i == SECTOR_BYTES / 8)
		return "zeros";
	other.id = word[1] >> 32;
	model_content(&other, word[0], word[1], want);
	if (memcmp(want, data, SECTOR_BYTES))
		snprintf(text, size, "no content of the model: %016llx %016llx %016llx...",
			 (unsigned long long)word[0], (unsigned long long)word[1],
			 (unsigned long long)word[2]);
	else
		snprintf(text, size, "volume %u sector %llu value %u", other.id,
			 (unsigned long long)word[0], (u32)word[1]);
	return text;
}

static void log_begin(struct model *m, u32 first, u32 nr, u32 value)
{
	if (m->nr_log == m->room) {
		m->room = m->room ? 2 * m->room : 64;
		m->log = need(realloc(m->log, m->room * sizeof(*m->log)));
	}
	m->log[m->nr_log++] = (struct log_entry){ .first = first, .nr = nr, .value = value };
}

u32 model_write_begin(struct model *m, u32 first, u32 nr, bool zeros)
{
	u32 value = m->next_value | (zeros ? VALUE_ZERO : 0);

	m->next_value += 2;
	log_begin(m, first, nr, value);
	keep_step(m, (struct model_step){ STEP_BEGIN, first, nr, value });
	return value;
}

static void make_durable(struct model *m, const struct log_entry *e)
{
	u32 s;

	for (s = e->first; s < e->first + e->nr; s++)
		if (m->durable[s] < e->value)
			m->durable[s] = e->value;
}

static void log_end(struct model *m, u32 value, bool fua, u64 tick)
{
	struct log_entry *e = m->log;
	u32 s;

	while (e->value != value)
		e++;
	for (s = e->first; s < e->first + e->nr; s++)
		m->values[s] = value;
	e->done = tick;
	if (!fua)
		return;
	make_durable(m, e);
	memmove(e, e + 1, (m->log + --m->nr_log - e) * sizeof(*e));
}

void model_write_end(struct model *m, u32 value, bool fua)
{
	log_end(m, value, fua, ++m->tick);
	keep_step(m, (struct model_step){ STEP_END, .value = value, .fua = fua, .tick = m->tick });
}

u64 model_flush_begin(struct model *m)
{
	return ++m->tick;
}

void model_flush_end(struct model *m, u64 began)
{
	u32 i, left = 0;

	for (i = 0; i < m->nr_log; i++) {
		if (m->log[i].done && m->log[i].done < began)
			make_durable(m, &m->log[i]);
		else
			m->log[left++] = m->log[i];
	}
	m->nr_log = left;
	keep_step(m, (struct model_step){ STEP_FLUSHED, .tick = began });
}

void model_follow(struct model *m, const struct model *other, u64 until)
{
	for (; m->followed < other->nr_steps; m->followed++) {
		const struct model_step *step = &other->steps[m->followed];

		if (step->clock > until)
			break;
		if (step->kind == STEP_BEGIN)
			log_begin(m, step->first, step->nr, step->value);
		else if (step->kind == STEP_END)
			log_end(m, step->value, step->fua, step->tick);
		else
			model_flush_end(m, step->tick);
	}
}

void model_crash(struct model *m, enum model_losses losses)
{
	u32 i, row, first, end;

	memset(m->may_be_lost, losses == LOSE_ANY, m->nr_sectors / m->row_sectors + 1);
	for (i = 0; i < m->nr_log && losses; i++) {
		const struct log_entry *e = &m->log[i];

		first = e->first / m->row_sectors;
		end = (e->first + e->nr + m->row_sectors - 1) / m->row_sectors;
		if (losses == LOSE_WHOLE_ROWS) {
			first = (e->first + m->row_sectors - 1) / m->row_sectors;
			end = (e->first + e->nr) / m->row_sectors;
		}
		for (row = first; row < end; row++)
			m->may_be_lost[row] = true;
	}
}

/* Is this the content of a sector with a value, or may it be after the crash? */
static bool may_be(const struct model *m, u32 sector, u32 value)
{
	u32 i;

	if (value == m->durable[sector])
		return true;
	for (i = 0; i < m->nr_log && value > m->durable[sector]; i++)
		if (m->log[i].value == value && sector - m->log[i].first < m->log[i].nr)
			return true;
	return false;
}

static u32 find_zeros(const struct model *m, u32 sector)
{
	u32 found = m->durable[sector], i;

	if (!found || (found & VALUE_ZERO))
		return found;
	for (i = 0; i < m->nr_log; i++)
		if (sector - m->log[i].first < m->log[i].nr && (m->log[i].value & VALUE_ZERO) &&
		    m->log[i].value > found)
			return m->log[i].value;
	return VALUE_LOST;
}

u32 model_find(const struct model *m, u32 sector, const void *data)
{
	static const u8 zeros[SECTOR_BYTES];
	const u64 *word = data;
	u8 want[SECTOR_BYTES];
	u32 value = word[1];

	/* What it claims to be, looked up, and then all of it compared. */
	if (!word[1] && !memcmp(data, zeros, SECTOR_BYTES))
		return find_zeros(m, sector);
	if (word[0] != sector || word[1] >> 32 != m->id || !value || (value & VALUE_ZERO) ||
	    !may_be(m, sector, value))
		return VALUE_LOST;
	model_content(m, sector, value, want);
	return memcmp(data, want, SECTOR_BYTES) ? VALUE_LOST : value;
}

void model_settled(struct model *m)
{
	m->nr_log = 0;
	memcpy(m->durable, m->values, m->nr_sectors * sizeof(u32));
	memset(m->may_be_lost, 0, m->nr_sectors / m->row_sectors + 1);
}
