/* 32 numbers that share a scale, for quantize.c. False where the numbers are too large. */
#ifndef TUFF_FORMATS_QUANTIZE_32_H
#define TUFF_FORMATS_QUANTIZE_32_H

#include <stdbool.h>
#include <stdint.h>

bool tuff_encode_q4_0(const float *in, uint8_t *out);
bool tuff_encode_q4_1(const float *in, uint8_t *out);
bool tuff_encode_q5_0(const float *in, uint8_t *out);
bool tuff_encode_q5_1(const float *in, uint8_t *out);
bool tuff_encode_q8_0(const float *in, uint8_t *out);
bool tuff_encode_mxfp4(const float *in, uint8_t *out);

/* A scale and, where there is one, a least, with the whole numbers from 0 on, as the formats store them. */
void tuff_put_q4(const uint8_t whole[32], uint8_t *out);
void tuff_put_q5(const uint8_t whole[32], uint8_t *out);
bool tuff_put_half(float value, uint8_t *out);

#endif
