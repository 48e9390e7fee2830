import { query } from "./client";
import { graphql, type ResultOf } from "./graphql";

const TagsQuery = graphql(`
  query Tags {
    tags {
      id
      type
      name
      scope
    }
  }
`);

const CreateMutation = graphql(`
  mutation CreateTag($type: String!, $name: String!, $scope: String!) {
    createTag(type: $type, name: $name, scope: $scope) {
      id
      type
      name
      scope
    }
  }
`);

const AddMutation = graphql(`
  mutation AddTags($job: ID!, $tagIds: [ID!]!) {
    addTagsToJob(job: $job, tagIds: $tagIds) {
      id
      type
      name
      scope
    }
  }
`);

const RemoveMutation = graphql(`
  mutation RemoveTags($job: ID!, $tagIds: [ID!]!) {
    removeTagsFromJob(job: $job, tagIds: $tagIds) {
      id
      type
      name
      scope
    }
  }
`);

const DeleteMutation = graphql(`
  mutation DeleteTags($tagIds: [ID!]!) {
    removeTagFromList(tagIds: $tagIds)
  }
`);

export type Tag = ResultOf<typeof TagsQuery>["tags"][number];

const FRESH = { fresh: true };

export const listTags = async (): Promise<Tag[]> => (await query(TagsQuery, {}, FRESH)).tags;

export const createTag = async (type: string, name: string, scope: string): Promise<Tag> =>
  (await query(CreateMutation, { type, name, scope }, FRESH)).createTag;

export const addTag = async (job: string, tag: string): Promise<Tag[]> =>
  (await query(AddMutation, { job, tagIds: [tag] }, FRESH)).addTagsToJob;

export const removeTag = async (job: string, tag: string): Promise<Tag[]> =>
  (await query(RemoveMutation, { job, tagIds: [tag] }, FRESH)).removeTagsFromJob;

export const deleteTag = async (tag: string): Promise<number[]> =>
  (await query(DeleteMutation, { tagIds: [tag] }, FRESH)).removeTagFromList;
