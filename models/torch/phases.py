# SPDX-License-Identifier: BSD-2-Clause
"""Which phase of a recipe a step belongs to, as lib/train/phases.c says."""
import math
from types import SimpleNamespace


def rate_between(rate, rate_end, rise, step, steps):
    """Linear rise over the warm-up, at most a tenth of the schedule, then a cosine."""
    warmup = min(rise, steps // 10)
    if step < warmup:
        return rate * (step + 1) / warmup
    p = min(1, (step - warmup) / (steps - warmup))
    return rate_end + (rate - rate_end) * 0.5 * (1 + math.cos(p * math.pi))


def moment(r, step, steps):
    """phase (None without phases), step and steps of its schedule, rate."""
    train, m = r.train, SimpleNamespace(phase=None, step=step, steps=steps)
    rate, rate_end, planned, begin, i = train.rate, train.rate_end, 0, 0, 0
    while i < len(r.phases):
        n = 1
        while r.phases[i].every and i + n < len(r.phases) and r.phases[i + n].every:
            n += 1
        group = r.phases[i:i + n]
        planned += sum(p.steps for p in group)
        end = planned if steps == train.steps else int(planned / train.steps * steps + 0.5)
        i += n
        if step >= end and i < len(r.phases):
            begin = end
            continue
        m.step, m.steps, m.phase = step - begin, max(1, end - begin), group[0]
        turn = step % max(1, sum(p.every for p in group))
        for p in group if n > 1 else ():
            m.phase = p
            if turn < p.every:
                break
            turn -= p.every
        if m.phase.rate > 0:
            rate, rate_end = m.phase.rate, m.phase.rate_end
        break
    m.rate = rate_between(rate, rate_end, train.warmup, m.step, m.steps)
    return m


def weight(term, m):
    """Of a term then: 0 where its phase leaves it out."""
    if m.phase and term.name not in m.phase.terms:
        return 0
    return term.weight * (m.step + 1) / term.warmup if m.step + 1 < term.warmup else term.weight
