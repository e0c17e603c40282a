/* What the optimizers share: a workgroup does one chunk of one slot. */

/* A slot of their table: its tensors, the rate and the decay of its group. */
struct tuff_slot {
    F32 param, grad;
    uvec2 states[2];
    float rate, decay;
};

tuff_slot tuff_slot_at(U32 slots, uint slot)
{
    uint at = TUFF_UPDATE_SLOT_WORDS * slot;
    tuff_slot s;
    s.param = TUFF_ADDRESS_AT(F32, slots, at);
    s.grad = TUFF_ADDRESS_AT(F32, slots, at + 2);
    s.states[0] = uvec2(slots.v[at + 4], slots.v[at + 5]);
    s.states[1] = uvec2(slots.v[at + 6], slots.v[at + 7]);
    s.rate = uintBitsToFloat(slots.v[at + 8]);
    s.decay = uintBitsToFloat(slots.v[at + 9]);
    return s;
}

/* The factor on gradients, as torch.nn.utils.clip_grad_norm_ has it. */
float tuff_clip(float norm, float max_norm)
{
    return max_norm > 0.0 ? min(1.0, max_norm / (norm + 1e-6)) : 1.0;
}
