import { expect, test } from 'vitest';
import { hashOf, migrations } from './mod.ts';

test('a released migration stays as it was, to the letter: installations have its hash on record', () => {
  expect(migrations.map((migration) => [migration.number, hashOf(migration)])).toEqual([
    [1, '8d1612088cd9c32b4151da25c39fb3981c3306bcc2d8834e7b8ba9b7db010ee1'],
    [2, 'cb00873c5e0bb2f65beedc143ca0a56f8be31733362c9b5830c683c8b1599fee'],
    [3, '261ef253554b5a88aaf7a3ce0324f659c46ee6728447d756d858fed9e83a9e0d'],
    [4, '233d078d7e727c76355c9e0cb46badb5111bed637fb6e796b362adf5a62371f3'],
    [5, '8a78e4062ec084f3b5b81255248cbbf5a74e1eb4183edf32ec048b77dcef09a1'],
    [6, '3848e87054c96ea78aee24c4385a1dbf0c980cfc32dea7cfe9dc4f5075e6282b'],
    [7, '6a6f2713546fb8ef846b5756f08de95b19dd64b31041a1688e32a972a9f67010'],
    [8, 'e6e8cc5597f78ba57639517d9ecc4c1a73489dd3af41872852f950918baa1727'],
  ]);
});
