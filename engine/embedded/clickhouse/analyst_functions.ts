/**
 * Functions an analyst needs: counting, time, arithmetic, text, conditions, arrays. None of them reads anything but its
 * arguments, waits, or takes the name of a table, a dictionary or another function.
 */
const names = `
  count sum min max avg any anyLast argMin argMax uniq uniqExact uniqCombined uniqHLL12 median medianExact quantile
  quantiles quantileExact quantilesExact quantileTDigest quantilesTDigest quantileTiming quantileExactWeighted
  quantileInterpolatedWeighted stddevPop stddevSamp varPop varSamp covarPop covarSamp corr groupArray groupUniqArray
  groupArrayLast groupArrayMovingAvg groupArrayMovingSum sumMap topK first_value last_value nth_value skewPop kurtPop
  simpleLinearRegression entropy sumWithOverflow sumKahan avgWeighted deltaSum deltaSumTimestamp boundingRatio histogram
  row_number rank dense_rank percent_rank cume_dist ntile lag lead lagInFrame leadInFrame grouping
  exponentialMovingAverage exponentialTimeDecayedAvg intervalLengthSum maxIntersections

  now now64 today yesterday toDate toDate32 toDateTime toDateTime64 toTimeZone toYear toQuarter toMonth toWeek
  toISOWeek toISOYear toDayOfMonth toDayOfWeek toDayOfYear toHour toMinute toSecond toMillisecond toUnixTimestamp
  toUnixTimestamp64Milli toUnixTimestamp64Micro fromUnixTimestamp fromUnixTimestamp64Milli toStartOfYear
  toStartOfQuarter toStartOfMonth toStartOfWeek toMonday toStartOfDay toStartOfHour toStartOfMinute toStartOfSecond
  toStartOfFiveMinutes toStartOfFifteenMinutes toStartOfTenMinutes toStartOfInterval toLastDayOfMonth toLastDayOfWeek
  toTime toYYYYMM toYYYYMMDD toYYYYMMDDhhmmss toYearWeek timeSlot date_trunc dateTrunc dateDiff date_diff dateAdd
  date_add dateSub date_sub timestamp_add timestamp_sub addYears addQuarters addMonths addWeeks addDays addHours
  addMinutes addSeconds addMilliseconds subtractYears subtractQuarters subtractMonths subtractWeeks subtractDays
  subtractHours subtractMinutes subtractSeconds formatDateTime dateName monthName parseDateTimeBestEffort
  parseDateTime64BestEffort parseDateTime toRelativeHourNum toRelativeDayNum toIntervalMillisecond toIntervalSecond
  toIntervalMinute toIntervalHour toIntervalDay toIntervalWeek toIntervalMonth toIntervalQuarter toIntervalYear
  timezone timezoneOf version currentDatabase currentUser year month day hour minute second makeDate makeDateTime age timeDiff extract

  plus minus multiply divide intDiv intDivOrZero modulo moduloOrZero positiveModulo negate abs sign sqrt cbrt exp exp2
  exp10 ln log log2 log10 pow power sin cos tan asin acos atan atan2 pi e floor ceil ceiling round roundBankers trunc
  truncate greatest least gcd lcm bitAnd bitOr bitXor bitNot bitShiftLeft bitShiftRight isFinite isInfinite isNaN
  ifNotFinite width_bucket widthBucket runningDifference divideDecimal multiplyDecimal

  equals notEquals less greater lessOrEquals greaterOrEquals and or xor not in notIn nullIn notNullIn exists if multiIf
  isNull isNotNull ifNull nullIf coalesce assumeNotNull toNullable isZeroOrNull isDistinctFrom isNotDistinctFrom
  caseWithExpression transform

  CAST _CAST accurateCast accurateCastOrNull toString toInt8 toInt16 toInt32 toInt64 toInt128 toInt256 toUInt8 toUInt16
  toUInt32 toUInt64 toUInt128 toUInt256 toFloat32 toFloat64 toDecimal32 toDecimal64 toDecimal128 toInt32OrNull
  toInt64OrNull toUInt32OrNull toUInt64OrNull toFloat64OrNull toFloat64OrZero toInt64OrZero toDecimal64OrNull
  toDecimalString toBool toTypeName toLowCardinality

  length lengthUTF8 empty notEmpty lower upper lowerUTF8 upperUTF8 concat concatWithSeparator substring substringUTF8
  substr left right leftPad rightPad trimBoth trimLeft trimRight trim ltrim rtrim replaceOne replaceAll replace position
  positionCaseInsensitive locate startsWith endsWith like notLike ilike notILike match extractAll splitByChar
  splitByString arrayStringConcat reverse reverseUTF8 initcap format formatReadableQuantity formatReadableTimeDelta
  hasToken JSONExtractString JSONExtractInt JSONExtractUInt JSONExtractFloat JSONExtractBool JSONExtractRaw
  JSONExtractKeys JSONHas JSONLength JSONType simpleJSONExtractString simpleJSONExtractInt bar hex
  cityHash64 sipHash64 xxHash64

  tuple tupleElement array arrayElement arrayJoin arrayMap arrayFilter arrayExists arrayAll arrayCount arraySum arrayMin
  arrayMax arrayAvg arraySort arrayReverseSort arrayReverse arrayDistinct arrayUniq arrayConcat arraySlice arrayZip
  arrayEnumerate arrayDifference arrayCumSum arrayFirst arrayLast arrayFlatten arrayCompact has hasAny hasAll indexOf
  countEqual range lambda map mapKeys mapValues untuple
`;

const allowed = new Set(
  names
    .trim()
    .split(/\s+/)
    .map((name) => name.toLowerCase()),
);

/** `sumIf`, `uniqExactDistinct`, `avgOrNull` …: combinators that only choose which rows an aggregate sees. */
const combinators = /(if|distinct|ornull|ordefault|array)$/;

/** Names are compared without regard to case: the engine does so for many, and the list means one function by each. */
export function isAllowedFunction(name: string): boolean {
  for (let base = name.toLowerCase(); ; base = base.replace(combinators, '')) {
    if (allowed.has(base)) return true;
    if (!combinators.test(base)) return false;
  }
}
