// A believable month of sign-ups for the fake server: a daily and a weekly rhythm, a little noise,
// always the same history for the same hour.

const hour_ms = 3_600_000;
export const history_hours = 30 * 24;

// A number in [0, 1) that depends on nothing but n.
function noise(n) {
  let x = (n ^ 0x9e3779b9) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b) >>> 0;
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35) >>> 0;
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
}

// Sign-ups expected in the hour that begins at `time`: quiet nights, a lunch dip, quiet weekends.
export function expected(time) {
  const date = new Date(time);
  const hour = (date.getUTCHours() + 19) % 24; // five hours behind: an American day
  const day = 0.16 + Math.exp(-((hour - 11) ** 2) / 14) + 0.8 * Math.exp(-((hour - 19) ** 2) / 10);
  const weekday = [0.55, 1, 1.06, 1.03, 0.98, 0.9, 0.6][date.getUTCDay()];
  return 1450 * day * weekday * (0.92 + 0.16 * noise(Math.floor(time / hour_ms)));
}

export function history(now) {
  const current = Math.floor(now / hour_ms) * hour_ms;
  const hours = new Map();
  for (let i = history_hours; i >= 0; --i) {
    const time = current - i * hour_ms;
    const part = i === 0 ? (now - current) / hour_ms : 1;
    hours.set(time, Math.round(expected(time) * part));
  }
  return hours;
}

// How often each kind of event happens, beside sign-ups.
export const mix = [
  ['sign_in', 0.52],
  ['page_view', 0.2],
  ['mfa_challenge', 0.12],
  ['sign_up', 0.06],
  ['sign_out', 0.05],
  ['password_reset', 0.03],
  ['account_deleted', 0.02],
];

export const text = (time) => new Date(time).toISOString().slice(0, 19).replace('T', ' ');
export const hourOf = (time) => Math.floor(time / hour_ms) * hour_ms;
