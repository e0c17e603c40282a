/* Masks: what a device is told to report less of, and the named ones. */
#include "conform/masks.h"

#include <stdlib.h>
#include <string.h>
#include <tuff/conform.h>

/* THE list of named masks. Figures are those of the drivers' own reports (vulkan.gpuinfo.org). */
static const tuff_conform_mask named[] = {
    {"phone", "software=off,subgroup=64,int8=off,coopmat=off,allocation=1G",
     "Adreno: wide subgroups, half floats, little in one piece"},
    {"phone-narrow", "software=off,subgroup=16,int8=off,coopmat=off,allocation=1G",
     "Mali: subgroups of 16, where reductions are laid out anew"},
    {"old-intel", "software=off,subgroup=32,fp16=off,int8=off,coopmat=off",
     "Gen 7.5 to 9: no half floats, no integer dot product"},
    {"moltenvk", "software=off,short=off,subgroup=32,int8=off,coopmat=off,shared=32K,allocation=1G",
     "Metal: SIMD groups of 32, half floats, 32 KiB of shared memory"},
    {"raspberry-pi", "software=off,short=off,subgroup=16,fp16=off,int8=off,coopmat=off,shared=16K,memory=1G",
     "V3D: 16 KiB of shared memory, a small budget"},
    {"floor", "software=off,subgroup=1,fp16=off,int8=off,coopmat=off,shared=16K,allocation=1G,memory=1G",
     "the least that Vulkan 1.2 allows"},
};

const tuff_conform_mask *tuff_conform_mask_at(size_t index)
{
    return index < sizeof named / sizeof named[0] ? &named[index] : NULL;
}

static const struct {
    const char *setting;
    uint32_t bits;
} hidden[] = {
    {"subgroup=none", TUFF_CAP_SUBGROUP_ARITHMETIC | TUFF_CAP_SUBGROUP_BALLOT},
    {"fp16=off", TUFF_CAP_F16_ARITHMETIC | TUFF_CAP_F16_STORAGE},
    {"int8=off", TUFF_CAP_INT8},
    {"coopmat=off", TUFF_CAP_COOPERATIVE_MATRIX},
    {"software=off", TUFF_CAP_SOFTWARE},
    {"short=off", TUFF_CAP_SHORT_CODE},
};

typedef struct piece {
    const char *text;
    size_t size;
} piece;

static bool is(piece p, const char *text)
{
    return strlen(text) == p.size && memcmp(text, p.text, p.size) == 0;
}

/* "key=123" with an optional K, M or G (of 1024), within low and high. */
static bool number(piece p, const char *key, uint64_t low, uint64_t high, uint64_t *out)
{
    size_t skip = strlen(key);
    if (p.size <= skip || memcmp(p.text, key, skip) != 0) return false;
    uint64_t value = 0;
    size_t i = skip;
    for (; i < p.size && p.text[i] >= '0' && p.text[i] <= '9' && value <= high / 10; i++)
        value = value * 10 + (uint64_t)(p.text[i] - '0');
    const char *units = "KMG", *unit = i > skip && i + 1 == p.size ? strchr(units, p.text[i]) : NULL;
    if (unit != NULL) {
        int shift = 10 * (int)(unit - units + 1);
        if (value > high >> shift) return false;
        value <<= shift;
        i++;
    }
    if (i == skip || i < p.size || value < low || value > high) return false;
    *out = value;
    return true;
}

static void lower(uint64_t *limit, uint64_t value)
{
    if (*limit == 0 || value < *limit) *limit = value;
}

static bool setting(piece p, tuff_mask *out)
{
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        if (is(p, hidden[i].setting)) {
            out->features |= hidden[i].bits;
            return true;
        }
    uint64_t value, shared = out->shared;
    if (number(p, "subgroup=", 1, 128, &value) && (value & (value - 1)) == 0) {
        out->subgroup = (uint32_t)value;
    } else if (number(p, "shared=", 1024, 1 << 30, &value)) {
        lower(&shared, value);
        out->shared = (uint32_t)shared;
    } else if (number(p, "allocation=", 1 << 20, UINT64_MAX / 2, &value)) {
        lower(&out->allocation, value);
    } else if (number(p, "memory=", 1 << 20, UINT64_MAX / 2, &value)) {
        lower(&out->memory, value);
    } else {
        return false;
    }
    return true;
}

static const char *settings_of(piece p)
{
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        if (is(p, named[i].name)) return named[i].settings;
    return NULL;
}

static tuff_status misunderstood(piece p)
{
    char names[128] = "";
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
        strncat(names, i > 0 ? ", " : "", sizeof names - strlen(names) - 1);
        strncat(names, named[i].name, sizeof names - strlen(names) - 1);
    }
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "mask \"%.*s\" is not understood; expected subgroup=none or a power of two up to 128, "
                     "fp16=off, int8=off, coopmat=off, software=off, short=off, shared=BYTES (at least "
                     "1K), "
                     "allocation=BYTES or memory=BYTES (at least 1M), or one of %s, separated by commas",
                     (int)(p.size < 100 ? p.size : 100), p.text, names);
}

tuff_status tuff_mask_parse(const char *text, tuff_mask *out)
{
    *out = (tuff_mask){0};
    for (const char *at = text; *at != '\0';) {
        piece p = {at, strcspn(at, ",")};
        const char *inner = settings_of(p);
        for (const char *s = inner; s != NULL && *s != '\0';) {
            piece one = {s, strcspn(s, ",")};
            if (!setting(one, out)) return misunderstood(one);
            s += one.size + (s[one.size] == ',');
        }
        if (inner == NULL && p.size > 0 && !setting(p, out)) return misunderstood(p);
        at += p.size + (at[p.size] == ',');
    }
    return TUFF_OK;
}
