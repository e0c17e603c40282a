/* 256 numbers as groups that share a scale, for quantize.c. */
#ifndef TUFF_FORMATS_QUANTIZE_K_H
#define TUFF_FORMATS_QUANTIZE_K_H

#include <stdbool.h>
#include <stdint.h>

/* One block of in[0..256), importance[0..256) or NULL. False where the numbers are too large. */
bool tuff_encode_q2_k(const float *in, const float *importance, uint8_t *out);
bool tuff_encode_q3_k(const float *in, const float *importance, uint8_t *out);
bool tuff_encode_q4_k(const float *in, const float *importance, uint8_t *out);
bool tuff_encode_q5_k(const float *in, const float *importance, uint8_t *out);
bool tuff_encode_q6_k(const float *in, const float *importance, uint8_t *out);

#endif
