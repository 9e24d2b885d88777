import { InferenceService } from '../../../pulumi';
import { serviceArgs, SERVICES } from './twenty-of-them';

for (let i = 0; i < SERVICES; i++) new InferenceService(`service-${i}`, serviceArgs());
