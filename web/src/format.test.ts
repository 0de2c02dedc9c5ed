import { describe, expect, it } from 'vitest';
import {
  age,
  bytes,
  compareCells,
  difference,
  exactNumber,
  formatCell,
  number,
  parseTime,
  rate,
  short,
  timeOfDay,
} from './format';

const bigint = { name: 'n', type: 'BIGINT' };
const text = { name: 's', type: 'VARCHAR' };

describe('numbers', () => {
  it('are grouped', () => expect(number(4218650)).toBe('4,218,650'));
  it('keep every digit of what a double cannot hold', () => {
    expect(formatCell('9007199254740993', bigint)).toBe('9,007,199,254,740,993');
    expect(exactNumber('-170141183460469231731687303715884105728')).toBe(
      '-170,141,183,460,469,231,731,687,303,715,884,105,728',
    );
    expect(exactNumber('12345678901234567890.250')).toBe('12,345,678,901,234,567,890.250');
    expect(exactNumber('-0.5')).toBe('-0.5');
  });
  it('that are text stay text', () => expect(formatCell('2026', text)).toBe('2026'));
  it('that are missing are a dash', () => expect(formatCell(null, bigint)).toBe('–'));
  it('differ exactly', () => {
    expect(difference('9007199254740993', '9007199254740992')).toEqual({ text: '1', sign: 1 });
    expect(difference(10, 1.5)).toEqual({ text: '8.5', sign: 1 });
    expect(difference(1, 3)).toEqual({ text: '2', sign: -1 });
    expect(difference('a', 3)).toBeNull();
  });
  it('are short on axes', () => {
    expect(short(1500)).toBe('1.5\u202fk');
    expect(short(0)).toBe('0');
    expect(short(2_000_000)).toBe('2\u202fM');
  });
});

describe('other values', () => {
  it('rates keep two digits when small', () => {
    expect(rate(0)).toBe('0');
    expect(rate(0.123)).toBe('0.12');
    expect(rate(12.4)).toBe('12');
    expect(rate(123456)).toBe('123,456');
  });
  it('ages have one unit', () => {
    expect(age(8.4)).toBe('8 ms');
    expect(age(-5)).toBe('0 ms');
    expect(age(61_000)).toBe('61 s');
    expect(age(3_600_000)).toBe('60 min');
  });
  it('sizes are decimal', () => expect(bytes(1_234_567)).toBe('1.23\u202fMB'));
});

describe('times', () => {
  const noon = Date.UTC(2026, 10, 23, 12);
  it('without zone are what they say', () => {
    expect(parseTime('2026-11-23 12:00:00')).toBe(noon);
    expect(parseTime('2026-11-23 12:00:00.25')).toBe(noon + 250);
    expect(parseTime('2026-11-23')).toBe(noon - 12 * 3_600_000);
  });
  it('are shown by the clocks of a zone', () => {
    const zoned = { name: 't', type: 'TIMESTAMP WITH TIME ZONE' };
    const shown = (text: string, zone: string) => formatCell(text, zoned, zone);
    expect(shown('2026-11-29 23:00:00+00', 'America/New_York')).toBe('2026-11-29 18:00:00-05');
    expect(shown('2026-07-01 00:30:00.000001+00', 'America/New_York')).toBe('2026-06-30 20:30:00.000001-04');
    expect(shown('2026-11-29 23:00:00.25+00', 'Asia/Kathmandu')).toBe('2026-11-30 04:45:00.25+05:45');
    expect(shown('2026-11-29 23:00:00+00', 'UTC')).toBe('2026-11-29 23:00:00+00');
    // The hour that comes twice is told apart by its offset.
    expect(shown('2026-11-01 05:30:00+00', 'America/New_York')).toBe('2026-11-01 01:30:00-04');
    expect(shown('2026-11-01 06:30:00+00', 'America/New_York')).toBe('2026-11-01 01:30:00-05');
    expect(shown('infinity', 'America/New_York')).toBe('infinity');
    expect(shown('2026-11-29 23:00:00+00', 'No/Where')).toBe('2026-11-29 23:00:00+00');
    const plain = { name: 't', type: 'TIMESTAMP' };
    expect(formatCell('2026-11-29 23:00:00', plain, 'America/New_York')).toBe('2026-11-29 23:00:00');
    expect(timeOfDay(Date.UTC(2026, 10, 29, 23), 'America/New_York')).toBe('18:00:00 America/New_York');
  });
  it('with a zone are moved by it', () => {
    expect(parseTime('2026-11-23 07:00:00-05')).toBe(noon);
    expect(parseTime('2026-11-23 17:30:00+05:30')).toBe(noon);
  });
  it('beyond the calendar are none', () => {
    expect(parseTime('infinity')).toBeNull();
    expect(parseTime(null)).toBeNull();
  });
});

describe('order', () => {
  it('is exact for big integers', () => {
    expect(compareCells('9007199254740993', '9007199254740992', bigint)).toBe(1);
    expect(compareCells(5, '9007199254740992', bigint)).toBe(-1);
  });
  it('puts NULL last', () => expect(compareCells(null, 1, bigint)).toBe(1));
});
