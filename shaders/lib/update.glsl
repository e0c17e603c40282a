/* What the optimizers share: a workgroup does one chunk of one slot. */
#include "shaders/lib/clip.glsl"

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
