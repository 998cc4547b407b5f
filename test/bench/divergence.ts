// divergence.ts — how far two next-token distributions are apart, from their logits.

/** Σ p·(ln p − ln q) over a vocabulary, in nats. */
export function divergence(p: Float32Array, q: Float32Array): number {
  const logSum = (row: Float32Array): number => {
    let highest = Number.NEGATIVE_INFINITY;
    for (const value of row) highest = Math.max(highest, value);
    let sum = 0;
    for (const value of row) sum += Math.exp(value - highest);
    return highest + Math.log(sum);
  };
  const [sumP, sumQ] = [logSum(p), logSum(q)];
  let kl = 0;
  for (const [i, value] of p.entries()) kl += Math.exp(value - sumP) * (value - sumP - ((q[i] ?? 0) - sumQ));
  return kl;
}

/** The likeliest id. */
export function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if ((logits[i] ?? 0) > (logits[best] ?? 0)) best = i;
  return best;
}
