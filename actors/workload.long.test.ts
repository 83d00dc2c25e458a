import { testOutcomes } from './testing_workload.ts';

testOutcomes('100User_testWorkLoad.txt');
