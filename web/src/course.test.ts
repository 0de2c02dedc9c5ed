import { expect, it } from 'vitest';
import { Course } from './course';

it('holds ten minutes, and the value that was true when they began', () => {
  const course = new Course();
  for (let second = 0; second <= 1200; second += 5) course.add(second * 1000, second);
  expect(course.points[0]!.at).toBeLessThanOrEqual(600_000);
  expect(course.points.at(-1)!.value).toBe(1200);
  expect(course.points.length).toBeLessThan(400);
  expect(course.since(1_200_000)).toMatchObject({ value: 600, ms: 600_000 });
});

it('always ends with the newest value, however fast it changes', () => {
  const course = new Course();
  for (let i = 0; i < 10_000; ++i) course.add(i, i);
  expect(course.points.at(-1)!.value).toBe(9999);
  expect(course.points.length).toBeLessThan(12);
});

it('draws a value as held until the next', () => {
  const course = new Course();
  course.add(0, 1);
  course.add(30_000, 2);
  const drawing = course.path(100, 50, 60_000)!;
  expect(drawing.line).toBe('M0,42H50V0H100');
  expect(drawing.area.endsWith('V50H0Z')).toBe(true);
});

it('does not stretch two quick changes across the tile', () => {
  const course = new Course();
  course.add(29_000, 1);
  expect(course.path(300, 50, 30_000)!.line).toBe('M290,21H300');
});
