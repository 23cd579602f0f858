"""The comparison of offline agents."""
