// divergence.ts — how far two next-token distributions are apart, from their logits. Loops by index: rows have 150 000 entries.

function logSum(row: Float32Array): number {
  let highest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < row.length; i++) highest = Math.max(highest, row[i] ?? 0);
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum += Math.exp((row[i] ?? 0) - highest);
  return highest + Math.log(sum);
}

/** Σ p·(ln p − ln q) over a vocabulary, in nats. */
export function divergence(p: Float32Array, q: Float32Array): number {
  const [sumP, sumQ] = [logSum(p), logSum(q)];
  let kl = 0;
  for (let i = 0; i < p.length; i++) {
    const logP = (p[i] ?? 0) - sumP;
    if (logP > -30) kl += Math.exp(logP) * (logP - ((q[i] ?? 0) - sumQ));
  }
  return kl;
}

/** The likeliest id. */
export function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if ((logits[i] ?? 0) > (logits[best] ?? 0)) best = i;
  return best;
}
