/* Elements stored by the block, as base/blocks_read.h reads them. What 16 neighbours share, a run, is read once; their
 * numbers come four at a time, a byte each. Blocks begin at any byte. The three constants begin at TUFF_BLOCK_CONSTANT;
 * all that is asked of them is settled when the pipeline is made. */
#include "shaders/args/blocks.h"
#include "shaders/lib/half.glsl"

layout(constant_id = TUFF_BLOCK_CONSTANT) const uint tuff_block_type = TUFF_STORED_Q4_0;
layout(constant_id = TUFF_BLOCK_CONSTANT + 1) const uint tuff_block_elements = 32;
layout(constant_id = TUFF_BLOCK_CONSTANT + 2) const uint tuff_block_bytes = 18;

struct tuff_run {
    uint low, low_shift;   /* byte of the first number's low bits; how far to the right these go */
    uint high, high_shift; /* the same of its high bits; fifth bits of Q5_0 and Q5_1: themselves, in `high` */
    float step, less;      /* an element is step * number - less */
};

#define TUFF_BLOCK_IS(NAME) (tuff_block_type == TUFF_STORED_##NAME)

uint tuff_block_byte(U32 x, uint at)
{
    return (x.v[at >> 2] >> (8 * (at & 3))) & 0xffu;
}

float tuff_block_half(U32 x, uint at) /* at an even byte */
{
    return tuff_half_to_float((x.v[at >> 2] >> (8 * (at & 2))) & 0xffffu);
}

/* Bytes at to at + 3; no word is read that has none of them. */
uint tuff_block_four(U32 x, uint at)
{
    uint word = x.v[at >> 2], shift = 8 * (at & 3);
    if (tuff_block_bytes % 4 == 0) return word;
    return word >> shift | x.v[(at + 3) >> 2] << 1 << (31 - shift);
}

/* 6 bits of scale and of least of group g of 8, in 12 bytes */
vec2 tuff_block_scales(U32 x, uint at, uint g)
{
    uint a = tuff_block_byte(x, at + g), b = tuff_block_byte(x, at + 4 + g), c = tuff_block_byte(x, at + (g & 3));
    if (g < 4) return vec2(float(a & 63), float(b & 63));
    return vec2(float((b & 15) | c >> 6 << 4), float(b >> 4 | a >> 6 << 4));
}

/* Of the storage that begins `first` bytes after x the elements at to at + 15, at being a multiple of 16. */
tuff_run tuff_run_of(U32 x, uint first, uint at)
{
    uint block = first + at / tuff_block_elements * tuff_block_bytes, n = at % tuff_block_elements / 16;
    uint eighth = n / 8, group = n / 2, odd = n % 2 * 16;
    tuff_run r = tuff_run(block, 0, 0, 0, 0.0, 0.0);
    if (TUFF_BLOCK_IS(MXFP4)) {
        uint e = tuff_block_byte(x, block);
        r.step = uintBitsToFloat(e < 2 ? 0x00200000u << e : (e - 1) << 23);
        r.low += 1;
        r.low_shift = 4 * n;
    } else if (TUFF_BLOCK_IS(Q2_K)) {
        uint scales = tuff_block_byte(x, block + n);
        r.step = tuff_block_half(x, block + 80) * float(scales & 15);
        r.less = tuff_block_half(x, block + 82) * float(scales >> 4);
        r.low += 16 + eighth * 32 + odd;
        r.low_shift = group % 4 * 2;
    } else if (TUFF_BLOCK_IS(Q3_K)) {
        uint low = tuff_block_byte(x, block + 96 + n % 8) >> (eighth * 4) & 15;
        uint top = tuff_block_byte(x, block + 104 + n % 4) >> (n / 4 * 2) & 3;
        r.step = tuff_block_half(x, block + 108) * float(int(low | top << 4) - 32);
        r.less = 4 * r.step;
        r.low += 32 + eighth * 32 + odd;
        r.low_shift = group % 4 * 2;
        r.high = block + odd;
        r.high_shift = group;
    } else if (TUFF_BLOCK_IS(Q4_K) || TUFF_BLOCK_IS(Q5_K)) {
        vec2 scales = tuff_block_scales(x, block + 4, group);
        r.step = tuff_block_half(x, block) * scales.x;
        r.less = tuff_block_half(x, block + 2) * scales.y;
        r.low += (TUFF_BLOCK_IS(Q5_K) ? 48 : 16) + group / 2 * 32 + odd;
        r.low_shift = group % 2 * 4;
        r.high = block + 16 + odd;
        r.high_shift = group;
    } else if (TUFF_BLOCK_IS(Q6_K)) {
        int scale = int(tuff_block_byte(x, block + 192 + n) << 24) >> 24;
        r.step = tuff_block_half(x, block + 208) * float(scale);
        r.less = 32 * r.step;
        r.low += eighth * 64 + group % 2 * 32 + odd;
        r.low_shift = group % 4 / 2 * 4;
        r.high = block + 128 + eighth * 32 + odd;
        r.high_shift = group % 4 * 2;
    } else { /* blocks of 32: a half, or two, and 4 bits at the end, a byte's low ones and then its high ones */
        bool pairs = TUFF_BLOCK_IS(Q4_1) || TUFF_BLOCK_IS(Q5_1), fifth = TUFF_BLOCK_IS(Q5_0) || TUFF_BLOCK_IS(Q5_1);
        r.step = tuff_block_half(x, block);
        if (pairs) r.less = -tuff_block_half(x, block + 2);
        if (TUFF_BLOCK_IS(Q4_0)) r.less = 8 * r.step;
        if (TUFF_BLOCK_IS(Q5_0)) r.less = 16 * r.step;
        if (TUFF_BLOCK_IS(Q8_0)) r.less = 128 * r.step;
        if (fifth) r.high = tuff_block_four(x, block + (pairs ? 4 : 2)) >> (16 * n);
        r.low += TUFF_BLOCK_IS(Q8_0) ? 2 + 16 * n : (pairs ? 4 : 2) + (fifth ? 4 : 0);
        r.low_shift = TUFF_BLOCK_IS(Q8_0) ? 0 : 4 * n;
    }
    return r;
}

/* The numbers of a run's elements 4 * q to 4 * q + 3, a byte each, the first one lowest. */
uint tuff_run_numbers(U32 x, tuff_run r, uint q)
{
    uint low = tuff_block_four(x, r.low + 4 * q) >> r.low_shift;
    if (TUFF_BLOCK_IS(Q8_0)) return low ^ 0x80808080u; /* 128 more */
    if (TUFF_BLOCK_IS(Q2_K)) return low & 0x03030303u;
    if (TUFF_BLOCK_IS(Q5_0) || TUFF_BLOCK_IS(Q5_1)) /* four bits, 7 apart, of which one is the lowest of each byte */
        return (low & 0x0f0f0f0fu) | (((r.high >> (4 * q) & 15) * 0x00204081u) & 0x01010101u) << 4;
    if (TUFF_BLOCK_IS(Q3_K) || TUFF_BLOCK_IS(Q5_K) || TUFF_BLOCK_IS(Q6_K)) {
        uint high = tuff_block_four(x, r.high + 4 * q) >> r.high_shift;
        if (TUFF_BLOCK_IS(Q3_K)) return (low & 0x03030303u) | (high & 0x01010101u) << 2;
        return (low & 0x0f0f0f0fu) | (high & (TUFF_BLOCK_IS(Q5_K) ? 0x01010101u : 0x03030303u)) << 4;
    }
    return low & 0x0f0f0f0fu;
}

float tuff_run_element(tuff_run r, uint number)
{
    if (TUFF_BLOCK_IS(IQ4_NL)) { /* steps from -127 on, 127 more */
        uint four = number < 8 ? (number < 4 ? 0x3e2c1700u : 0x75695c4eu) : (number < 12 ? 0xa5988c80u : 0xf0d8c4b4u);
        return r.step * float(int(four >> (8 * (number & 3)) & 0xffu) - 127);
    }
    if (TUFF_BLOCK_IS(MXFP4)) { /* a sign, and twice the number's size */
        float twice = float(0xc8643210u >> (4 * (number & 7)) & 15u);
        return r.step * ((number & 8) != 0 ? -twice : twice);
    }
    return r.step * float(number) - r.less;
}

vec4 tuff_run_four(U32 x, tuff_run r, uint q)
{
    uint n = tuff_run_numbers(x, r, q);
    return vec4(tuff_run_element(r, n & 0xffu), tuff_run_element(r, n >> 8 & 0xffu), tuff_run_element(r, n >> 16 & 0xffu),
                tuff_run_element(r, n >> 24));
}

/* Element `at` of the storage. */
float tuff_block_element(U32 x, uint first, uint at)
{
    tuff_run r = tuff_run_of(x, first, at & ~15u);
    return tuff_run_element(r, tuff_run_numbers(x, r, (at & 15) / 4) >> (8 * (at & 3)) & 0xffu);
}
