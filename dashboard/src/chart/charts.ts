/** Every chart, so that they and what draws them are one chunk, loaded with the first page that has one. */
export { default as ConsumptionChart } from './ConsumptionChart.svelte';
export { default as LoadPriceChart } from './LoadPriceChart.svelte';
export { default as LoadRangeChart } from './LoadRangeChart.svelte';
